from typing import Any

from keras_tuner.src.engine.conditions import Parent

class HyperParameter:
    name: str

class HyperParameters:
    space: list[HyperParameter]
    values: dict[str, Any]

    def merge(
        self, hps: list[HyperParameter] | HyperParameters, overwrite: bool = True
    ) -> None: ...

class Boolean(HyperParameter):
    def __init__(self, name: str, default: bool, conditions: list[Parent]) -> None: ...

class Choice(HyperParameter):
    def __init__(
        self,
        name: str,
        values: list[Any],
        ordered: bool | None,
        default: Any,
        conditions: list[Parent],
    ) -> None: ...

class Fixed(HyperParameter):
    def __init__(self, name: str, value: Any, conditions: list[Parent]) -> None: ...

class Float(HyperParameter):
    def __init__(
        self,
        name: str,
        min_value: float,
        max_value: float,
        sampling: str,
        default: Any,
        conditions: list[Parent],
    ) -> None: ...

class Int(Float): ...
