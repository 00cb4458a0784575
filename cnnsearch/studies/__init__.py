"""Runs of a list of trainings that is fixed beforehand.

Final training (``studies.final``), the fidelity of short trainings (``studies.fidelity``) and the
search of scaling coefficients.
"""
