"""A network as data (stem, stages and head), its cost, compound scaling, diff and drawing.

In: plain data such as a file's. Out: an ``Architecture``, its ``Cost``, its steps, a drawing.
Nothing here imports a framework.
"""
