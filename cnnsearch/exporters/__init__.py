"""Export: turns a trained candidate into files that carry their preprocessing, and verifies them.

What enters is a run and one of its trials; what leaves is a folder with a file per format, a model
card, and the proof that each format computes what the Keras model does. :mod:`.pipeline` exports,
:mod:`.formats` knows the formats, :mod:`.prediction` classifies image files with an export, and
:mod:`.model_registry` registers one in MLflow.
"""
