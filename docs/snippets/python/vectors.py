"""Prints the nearest items of the most frequent one: python3 vectors.py model.safetensors"""

import sys

import numpy as np
from safetensors.numpy import load_file

tensors = load_file(sys.argv[1] if len(sys.argv) > 1 else "model.safetensors")

# Ids are UTF-8, one after the other; `items.id_end` says where each one ends.
ends = tensors["items.id_end"].tolist()
raw = tensors["items.id"].tobytes()
ids = [raw[start:end].decode() for start, end in zip([0, *ends], ends)]


def rows(name):
    """Rows in f32. In the file they are F16, F32, or I8 with a scale for each (the trainer's model.row_encoding)."""
    scales = tensors.get(f"{name}_scale", np.ones(len(tensors[name]), np.float32))
    return tensors[name].astype(np.float32) * scales[:, None]


# An item's vector is its row plus its content, scaled to length 1.
vectors = rows("items.row")
vectors[tensors["items.content_of"]] += rows("items.content")
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

item = int(tensors["items.sightings"].argmax())
likeness = vectors @ vectors[item]
for other in np.argsort(-likeness)[:4]:
    print(ids[other], round(float(likeness[other]), 2))
