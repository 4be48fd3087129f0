"""The two halves of a data set, as most functions take them."""


def parts(data, count=None):
    """Return the first labelled training images, or all, and the labelled test images."""
    training = data.train_images[:count], data.train_labels[:count]
    return training, (data.test_images, data.test_labels)
