"""What the documentation of KerasHub shows and what scripts for it do, run under KerasHub and under refimpl.

    KERAS_BACKEND=jax python -m conformance.examples [PRESET_FOLDER]

Without a folder KerasHub makes a small preset with random weights, in a temporary one. Each example is run as it
stands, once with `import keras_hub`, once with `import refimpl as keras_hub`; only the name "bart_base_en" is replaced
by a local folder, as nothing is downloaded here. The steps of scripts also use Keras: they run a third time with
`import refimpl as keras`. Printed is a row for each, with what it gave. Needs the peers' environment, and for all steps
rouge-score and pandas.
"""
