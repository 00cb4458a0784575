"""A network as data: stem, stages and head; what it costs; how it scales; how it is drawn.

Enters: the values of an architecture file. Leaves: an ``Architecture``, its ``Cost``, a drawing.
Nothing here imports a framework.
"""
