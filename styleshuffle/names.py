"""What the command lines offer by name; here, so that they know it before they import torch."""

ENCODERS = ("compact", "vgg19")  # `styleshuffle.vgg`
CONVENTIONS = ("caffe", "torchvision")  # how a VGG-19 file wants its pictures
