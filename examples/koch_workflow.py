# %% [markdown]
# # One-shot recognition with a twin network, from the data to the runtime
#
# The method of Koch, Zemel and Salakhutdinov (2015), end to end: load the drawings, map them to labelled pairs, train a
# twin network, test it
# on symbols that it never saw, recognise a new class from a single picture, and run the same model without PyTorch.
#
# Run it as a script, `python examples/koch_workflow.py [--data OMNIGLOT] [--minutes 3]`, or as the notebook
# `examples/koch_workflow.ipynb`.
# Without Omniglot's zips it invents its alphabets. Five minutes on two cores.
# In a fresh environment, in the repository's folder: `pip install "torch~=2.13.0" && pip install -e ".[cpu,train]"`, and
# `pip install notebook` for the notebook.

# %%
from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads then leave the cores to others

import matplotlib.pyplot as plt
import numpy as np
import torch

from export.bundle import export_bundle
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer
from train.batches import sample_pairs
from train.canvases import Canvases
from train.config import TrainConfig
from train.drawings import from_image_set
from train.model import PRESETS
from train.omniglot import ImageSet, load_images
from train.trainer import Trainer

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, default=os.environ.get("OMNIGLOT"), help="folder of Omniglot's zips")
parser.add_argument("--minutes", type=float, default=float(os.environ.get("WORKFLOW_MINUTES", "3")), help="of training")
parser.add_argument("--out", type=Path, default=Path("out/koch_workflow"), help="for pictures, checkpoint and bundle")
in_notebook = "ipykernel" in sys.modules
arguments = parser.parse_args([] if in_notebook else None)
arguments.out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(0)


def show(name: str) -> None:
    """Keep the current figure as a picture, and show it in a notebook."""
    plt.savefig(arguments.out / f"{name}.png", dpi=110, bbox_inches="tight")
    if in_notebook:
        plt.show()
    plt.close("all")


# %% [markdown]
# ## 1. The data: `X`, `y`, `lang_dict`
#
# `X` holds every drawing, character by character: for Omniglot's background set `(964, 20, 105, 105)`. `y` is the
# character of each drawing,
# `(19280, 1)`. `lang_dict` says which characters belong to an alphabet: name to the first and last label.


# %%
def invented(alphabets: int = 30, symbols: int = 20, writers: int = 12) -> ImageSet:
    """Alphabets of the project's own, in Omniglot's arrangement."""
    hands = [random_writer(rng) for _ in range(writers)]
    alphabet = [invent_alphabet(symbols, seed=seed) for seed in range(alphabets)]
    images = np.stack([np.stack([draw(symbol, writer, rng) for writer in hands]) for part in alphabet for symbol in part])
    labels = np.repeat(np.arange(len(images)), writers)[:, None]
    return ImageSet(images, labels, {f"invented {n}": (n * symbols, (n + 1) * symbols - 1) for n in range(alphabets)})


everything = load_images(arguments.data) if arguments.data else invented()
X, y, lang_dict = everything
print("X", X.shape, "y", y.shape, "alphabets", len(lang_dict))

names = sorted(lang_dict)
held_out = names[::6]  # the network never sees these: what it does on them is one-shot recognition
training = everything.select(name for name in names if name not in held_out)
testing = everything.select(held_out)
print(f"{len(training.images)} characters to learn from, {len(testing.images)} held out: {', '.join(held_out)}")

# %% [markdown]
# ## 2. Pairs
#
# Verification as binary classification: a pair `(Xi, Yi)` is two drawings, and 1 where both show the same character.

# %%
spec = PRESETS["narrow"].spec
canvases, unseen = from_image_set(training, spec), from_image_set(testing, spec)
left, right, target = sample_pairs(canvases, 8, rng, within_group=True)
figure, axes = plt.subplots(2, 8, figsize=(12, 3.4))
for column in range(8):
    for row, index in enumerate((left[column], right[column])):
        axes[row, column].imshow(255 - canvases.images[index], cmap="gray", vmin=0, vmax=255)
        axes[row, column].axis("off")
    axes[0, column].set_title("same: 1" if target[column] else "different: 0")
show("pairs")

# %% [markdown]
# ## 3. The twin
#
# One network embeds both drawings. The head compares: `p = sigmoid(b - sum_j w_j |a_j - s_j|)`, an L1 distance with
# learned weights.

# %%
config = TrainConfig(model=PRESETS["narrow"], split="background", steps=100, classes=30, shots=4, redrawn=0.0)
scratch = Trainer(config, canvases)
print(scratch.model.layers)
print(f"{sum(weight.numel() for weight in scratch.model.parameters()):,} weights")

image = torch.zeros(1, 1, spec.height, spec.width)
sizes = [("drawing", tuple(image.shape[1:]))]
with torch.inference_mode():
    for layer in scratch.model.layers.eval():
        image = layer(image)
        sizes.append((type(layer).__name__, tuple(image.shape[1:])))
figure, axis = plt.subplots(figsize=(9, 5))
axis.barh([f"{name} {size}" for name, size in sizes], [float(np.prod(size)) for _, size in sizes], color="#4060a0")
axis.invert_yaxis()
axis.set_xlabel("numbers that leave the layer")
show("architecture")

# %% [markdown]
# ## 4. Training
#
# A step embeds a batch of 30 characters, four drawings each, and compares *all* pairs of it: every positive pair competes
# with all negatives. That
# is the paper's idea with far more pairs a step; `train/losses.py` has both losses in 50 lines.

# %%
for _ in range(4):
    scratch.step()
begin = time.process_time()  # of the processor, so that other work on the machine makes it longer and no worse
for _ in range(8):
    scratch.step()
steps = max(60, int(60 * arguments.minutes * torch.get_num_threads() * 8 / (time.process_time() - begin)))
trainer = Trainer(replace(config, steps=steps, warmup=min(100, steps // 5), ema=0.99), canvases)

begin, curve = time.perf_counter(), []
for step in range(1, steps + 1):
    loss, _ = trainer.step()
    curve.append(loss)
    if step % 100 == 0:
        print(f"step {step} of {steps}: loss {np.mean(curve[-100:]):.3f}, {time.perf_counter() - begin:.0f} s")
plt.figure(figsize=(8, 3))
plt.plot(np.convolve(curve, np.ones(10) / 10, mode="valid"))
plt.xlabel("step")
plt.ylabel("loss, mean of ten steps")
show("training")

# %% [markdown]
# ## 5. N-way one-shot tests on alphabets that it never saw
#
# N characters, one drawing of each by one writer; another writer's drawing is asked for. Beside it: the nearest drawing
# by pixels, and chance.


# %%
def trial(data: Canvases, way: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of `way` supports and of their queries, from one alphabet where it has so many characters."""
    group = next((g for g in rng.permutation(np.array(list(data.groups), object)) if len(data.groups[g]) >= way), None)
    members = data.groups[group] if group is not None else np.arange(len(data.members()))
    chosen = rng.choice(members, way, replace=False)
    pairs = [rng.choice(data.members()[c], 2, replace=False) for c in chosen]
    return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])


embeddings = trainer.embed_average(unseen.images)
drawings = testing.images.reshape(-1, *testing.images.shape[2:])
pixels = drawings.reshape(len(drawings), -1).astype(np.float32) / 255
ways, accuracy = (2, 5, 10, 15, 20), {"twin": [], "nearest pixels": [], "chance": []}
for way in ways:
    right = {"twin": 0, "nearest pixels": 0}
    for _ in range(40):
        supports, queries = trial(unseen, way)
        alike = trainer.compare_average(embeddings[queries], embeddings[supports])
        near = -((pixels[queries][:, None] - pixels[supports][None]) ** 2).sum(axis=2)
        right["twin"] += int((alike.argmax(axis=1) == np.arange(way)).sum())
        right["nearest pixels"] += int((near.argmax(axis=1) == np.arange(way)).sum())
    for name, count in right.items():
        accuracy[name].append(100 * count / (40 * way))
    accuracy["chance"].append(100 / way)
    print(f"{way:2}-way: " + ", ".join(f"{name} {values[-1]:.1f} %" for name, values in accuracy.items()))
plt.figure(figsize=(7, 4))
for name, values in accuracy.items():
    plt.plot(ways, values, marker="o", label=name)
plt.xlabel("N")
plt.ylabel("right, %")
plt.legend()
show("n-way")

supports, queries = trial(unseen, 20)
answer = int(trainer.compare_average(embeddings[queries[:1]], embeddings[supports]).argmax())
figure, axes = plt.subplots(3, 10, figsize=(12, 4))
for axis in axes.flat:
    axis.axis("off")
axes[0, 0].imshow(255 - unseen.images[queries[0]], cmap="gray", vmin=0, vmax=255)
axes[0, 0].set_title("query")
for place, index in enumerate(supports):
    axis = axes[1 + place // 10, place % 10]
    axis.imshow(255 - unseen.images[index], cmap="gray", vmin=0, vmax=255)
    if place == answer:
        axis.set_title("answer: right" if answer == 0 else "answer: wrong", color="green" if answer == 0 else "red")
show("trial")

# %% [markdown]
# ## 6. Export, and the same answers from the runtime
#
# The bundle holds two ONNX graphs. The runtime needs numpy, Pillow and onnxruntime; no PyTorch.

# %%
trainer.save(arguments.out / "last.pt")
report = export_bundle(arguments.out / "last.pt", arguments.out / "bundle", int8=False)
print(f"exported to {report.path}; embeddings differ from PyTorch's by {report.embedding_difference:.1e} at most")
matcher = OneShotMatcher.load(arguments.out / "bundle", precision="fp32", far=None)
for label, index in enumerate(supports):
    matcher.enroll(f"character {label}", drawings[index])
found = [int(matcher.match(drawings[index]).label.split()[1]) for index in queries]
expected = trainer.compare_average(embeddings[queries], embeddings[supports]).argmax(axis=1).tolist()
print(f"{sum(a == b for a, b in zip(found, expected, strict=True))} of 20 answers are PyTorch's")

# %% [markdown]
# ## 7. A new class from a single picture; classes come and go

# %%
new = draw(invent_alphabet(1, seed=999)[0], random_writer(rng), rng)
again = draw(invent_alphabet(1, seed=999)[0], random_writer(rng), rng)
matcher.enroll("new", new)
print("a second drawing of the new class:", matcher.match(again).label, f"({matcher.match(again).probability:.0%})")
matcher.remove("new")
print("after its removal:", matcher.match(again).label, "of", len(matcher.labels), "classes")
