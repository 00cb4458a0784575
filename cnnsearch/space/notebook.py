"""How a search space looks in a notebook."""

from cnnsearch.space.choices import Parameter
from cnnsearch.utils.html_tables import render_table


class HtmlSpace:
    """Shows a space's hyperparameters as a table."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]

    def _repr_html_(self) -> str:
        title = f"{self.name}: {self.description or 'a search space'}"
        rows = [(p.name, format_values(p), format_condition(p)) for p in self.parameters]
        return render_table(title, ("hyperparameter", "values", "only where"), rows)


def format_values(parameter: Parameter) -> str:
    """Returns what a hyperparameter may be, in words."""
    if parameter.kind == "choice":
        return ", ".join(str(option) for option in parameter.options)
    scale = ", logarithmic" if parameter.log else ""
    return f"{parameter.low:g} to {parameter.high:g}{scale}"


def format_condition(parameter: Parameter) -> str:
    """Returns the choice below which a hyperparameter exists; empty: it always does."""
    return " and ".join(f"{name} = {value}" for name, value in parameter.when[-1:])
