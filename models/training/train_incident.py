"""Trains the incident model and writes models/artifacts/incident.onnx (int8) and its card.

Data:   kalos sim dataset --windows 9000 --seed 1 > data.csv   (the simulator makes it again, bit for bit)
Run:    pip install -r models/training/requirements.txt
        python models/training/train_incident.py data.csv

A multilayer perceptron 39-32-16-6 with ReLU, trained by Adam on cross-entropy in float64 from a fixed seed, then
quantised to int8 weights and activations (static, QDQ) with onnxruntime. Normalisation stays in float: the features
differ by orders of magnitude. Split by window: 70 % train, 15 % validation (calibration and temperature), 15 % test.
"""

import csv
import hashlib
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

CLASSES = ["calm", "busy-cpu", "runaway-process", "memory-growth", "process-growth", "io-saturation"]
HIDDEN = (32, 16)
SEED = 1
EPOCHS = 120
BATCH = 128
RATE = 2e-3
WEIGHT_DECAY = 1e-4
CLIP = 6.0  # normalised features beyond this are outliers: they must not widen the int8 range
ARTIFACTS = pathlib.Path(__file__).resolve().parent.parent / "artifacts"


def load(path):
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    features = np.array([[float(value) for value in row[1:]] for row in rows[1:]])
    labels = np.array([CLASSES.index(row[0]) for row in rows[1:]])
    return rows[0][1:], features, labels


def split(count, random):
    order = random.permutation(count)
    train, validation = int(count * 0.7), int(count * 0.85)
    return order[:train], order[train:validation], order[validation:]


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def forward(layers, inputs):
    activations = [inputs]
    for index, (weight, bias) in enumerate(layers):
        out = activations[-1] @ weight + bias
        activations.append(np.maximum(out, 0) if index < len(layers) - 1 else out)
    return activations


def train(inputs, labels, random):
    sizes = (inputs.shape[1], *HIDDEN, len(CLASSES))
    layers = [[random.normal(0, np.sqrt(2 / a), (a, b)), np.zeros(b)] for a, b in zip(sizes, sizes[1:])]
    moments = [[np.zeros_like(p), np.zeros_like(p)] for layer in layers for p in layer]
    step = 0
    for epoch in range(EPOCHS):
        order = random.permutation(len(inputs))
        rate = RATE * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            activations = forward(layers, inputs[batch])
            delta = softmax(activations[-1])
            delta[np.arange(len(batch)), labels[batch]] -= 1
            delta /= len(batch)
            gradients = []
            for index in reversed(range(len(layers))):
                weight = layers[index][0]
                gradients[:0] = [activations[index].T @ delta + WEIGHT_DECAY * weight, delta.sum(axis=0)]
                if index > 0:
                    delta = (delta @ weight.T) * (activations[index] > 0)
            step += 1
            for slot, gradient in enumerate(gradients):
                mean, square = moments[slot]
                mean += 0.1 * (gradient - mean)
                square += 0.001 * (gradient**2 - square)
                update = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
                layers[slot // 2][slot % 2] -= rate * update
    return layers


def temperature(logits, labels):
    """The temperature that calibrates the confidences on the validation set (Guo et al. 2017), by grid search."""
    grid = np.linspace(0.5, 5, 91)
    losses = [-np.log(softmax(logits / t)[np.arange(len(labels)), labels] + 1e-12).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])


def build(layers, mean, scale, heat):
    constants = [
        numpy_helper.from_array(mean.astype(np.float32), "mean"),
        numpy_helper.from_array((1 / scale).astype(np.float32), "inverse_scale"),
        numpy_helper.from_array(np.float32(-CLIP), "low"),
        numpy_helper.from_array(np.float32(CLIP), "high"),
    ]
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "inverse_scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["hidden0"]),
    ]
    for index, (weight, bias) in enumerate(layers):
        last = index == len(layers) - 1
        divisor = heat if last else 1
        constants.append(numpy_helper.from_array((weight / divisor).astype(np.float32), f"weight{index}"))
        constants.append(numpy_helper.from_array((bias / divisor).astype(np.float32), f"bias{index}"))
        out = "logits" if last else f"linear{index}"
        nodes.append(helper.make_node("Gemm", [f"hidden{index}", f"weight{index}", f"bias{index}"], [out], name=f"gemm{index}"))
        if not last:
            nodes.append(helper.make_node("Relu", [out], [f"hidden{index + 1}"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    graph = helper.make_graph(
        nodes,
        "kalos-incident",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", len(mean)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(CLASSES)])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="kalos")
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model


class Calibration(CalibrationDataReader):
    def __init__(self, inputs):
        self.batches = iter([{"features": inputs.astype(np.float32)}])

    def get_next(self):
        return next(self.batches, None)


def predict(path, inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"features": inputs.astype(np.float32)})[0]


def macro_f1(predicted, labels):
    scores = {}
    for index, name in enumerate(CLASSES):
        hits = int(((predicted == index) & (labels == index)).sum())
        wrong = int((predicted == index).sum()) - hits
        missed = int((labels == index).sum()) - hits
        scores[name] = round(2 * hits / max(1, 2 * hits + wrong + missed), 4)
    return round(float(np.mean(list(scores.values()))), 4), scores


def calibration_error(probabilities, labels, bins=10):
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    parts = [(index == b) for b in range(bins)]
    return round(float(sum(p.mean() * abs(right[p].mean() - confidence[p].mean()) for p in parts if p.any())), 4)


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def main(data):
    random = np.random.default_rng(SEED)
    names, features, labels = load(data)
    train_set, validation, test = split(len(labels), random)
    mean, scale = features[train_set].mean(axis=0), features[train_set].std(axis=0)
    scale = np.where(scale < 1e-9, 1.0, scale)
    inputs = np.clip((features - mean) / scale, -CLIP, CLIP)
    layers = train(inputs[train_set], labels[train_set], random)
    heat = temperature(forward(layers, inputs[validation])[-1], labels[validation])
    ARTIFACTS.mkdir(exist_ok=True)
    full = ARTIFACTS / "incident.float.tmp.onnx"
    model = ARTIFACTS / "incident.onnx"
    onnx.save(build(layers, mean, scale, heat), full)
    quantize_static(
        full,
        model,
        Calibration(features[validation]),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Gemm"],
        extra_options={"WeightSymmetric": True},
    )
    in_float, in_int8 = predict(full, features[test]), predict(model, features[test])
    full.unlink()
    score, by_class = macro_f1(in_int8.argmax(axis=1), labels[test])
    confusion = np.zeros((len(CLASSES), len(CLASSES)), dtype=int)
    np.add.at(confusion, (labels[test], in_int8.argmax(axis=1)), 1)
    card = {
        "name": "incident",
        "version": 1,
        "purpose": "tells what kind of trouble the last minute of a machine's telemetry looks like",
        "input": {"name": "features", "type": "float32", "shape": ["batch", len(names)], "columns": names},
        "output": {"name": "probabilities", "type": "float32", "shape": ["batch", len(CLASSES)], "classes": CLASSES},
        "network": "MLP 39-32-16-6, ReLU; int8 weights and activations, float normalisation",
        "data": {
            "made_by": "kalos sim dataset --windows 9000 --seed 1",
            "sha256": sha256(data),
            "windows": len(labels),
            "split": {"train": len(train_set), "validation": len(validation), "test": len(test)},
        },
        "metrics_on_test": {
            "macro_f1_int8": score,
            "macro_f1_float": macro_f1(in_float.argmax(axis=1), labels[test])[0],
            "expected_calibration_error_int8": calibration_error(in_int8, labels[test]),
            "f1_by_class_int8": by_class,
            "confusion_int8_rows_are_truth": confusion.tolist(),
        },
        "limits": "Learned from simulated machines only: its test windows are far easier than real ones. On a real two-core machine with other work going on it told 3 of 6 kinds of load right (npm run bench -- incident-model --real 1). Its answer is evidence for watching, never a remedy by itself.",
        "sha256": sha256(model),
        "bytes": model.stat().st_size,
    }
    (ARTIFACTS / "incident.card.json").write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card["metrics_on_test"], indent=2))


if __name__ == "__main__":
    main(sys.argv[1])
