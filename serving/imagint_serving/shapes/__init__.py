"""The bundled model "shapes": a million weights that draw "a red circle on blue" on one CPU core.

It exists so that the whole platform runs with no GPU, no network and no downloaded weights. It is a diffusers
pipeline like any other; nothing outside this package may treat it specially. Importing the package alone must not
import torch: its modules do.
"""
