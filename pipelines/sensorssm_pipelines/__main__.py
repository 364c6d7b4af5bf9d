"""``python -m sensorssm_pipelines`` is ``sensorssm``."""

from sensorssm_pipelines.cli import main

if __name__ == "__main__":
    main()
