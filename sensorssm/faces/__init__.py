"""The estimators behind other libraries' interfaces: sktime, PyOD and River.

Each face is a module of its own and needs its library (`pip install sensorssm[faces]`):
``from sensorssm.faces.sktime import SSMForecaster``. Nothing here is imported by the rest.
"""
