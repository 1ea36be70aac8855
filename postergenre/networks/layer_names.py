"""The names of layers that more than one module relies on. `architecture` gives them to the layers."""

# Layers that augment: `architecture.for_prediction` leaves them out.
AUGMENTATION = {"shift", "brightness", "contrast", "flip"}
# Resizes posters to the network's input: `architecture.for_prediction` tells it that nothing is being trained.
RESIZE = "resize"
# Blocks are `block1_...`, `block2_...`: `pretrained.freeze` reads their number.
BLOCK = "block"
# The last layer of the backbone, which gives a vector: `pretrained.backbone` ends there; its input is `gradcam`'s map.
POOLED = "head_pooled"
# Pools the map of one of several blocks, whose number follows: their inputs are `gradcam`'s maps.
MAP = "head_map"
# Normalises the pooled vector: `pretrained.fix_norm` sets its mean and variance.
NORM = "head_norm"
# A fully connected layer, whose number follows.
DENSE = "dense"
# The last layer: `calibration.apply_to_model` changes its weights, and `optimizers` keeps Muon from it.
GENRES = "genres"
# How the head's layers with weights begin, and their weights' paths: `optimizers` gives all others the backbone's rate.
HEAD = (NORM, DENSE, GENRES)
