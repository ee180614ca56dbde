"""The exported class of a classifier."""
from torch import nn

from model import ENCODERS, MODELS, Model

# ---- exported ----


class Classifier(Model):
    """A ResNet-18 with a linear layer: images → features [N, 8w] → logits [N, labels]. It does not decode."""

    def __init__(self, config, data):
        super().__init__(config, data)
        self.encoder = ENCODERS["resnet18"](config["model"], self.channels, self.size)
        self.encoder.fc = nn.Linear(self.encoder.outputs, config["data"]["classes"])

    def encode(self, images):
        """Returns the features, [N, 8w]."""
        return self.encoder.features(self.normalise(images))

    def logits(self, images):
        """Returns the logits, [N, labels]. The label with the largest one is predicted."""
        return self.encoder.fc(self.encode(images))

    def decode(self, *_):
        raise TypeError("a classifier has no decoder; it has logits(images) and encode(images)")

    reconstruct = decode


MODELS["classifier"] = Classifier
