"""Choosing the best image, and resolving relative URLs."""

import pytest

from worker.enrichment.enriched_document import ImageRef
from worker.enrichment.image_choice import absolute, best_image, image_hash, is_placeholder


def image(name, width=None, height=None):
    return ImageRef(f"https://i.example/{name}", width, height, None, None)


@pytest.mark.parametrize(
    ("images", "best"),
    [
        ([], None),
        ([image("a")], "a"),
        ([image("a"), image("b")], "a"),
        ([image("icon", 50, 50), image("b", 300, 200)], "b"),
        ([image("a", 1280, 720), image("b", 4000, 3000)], "a"),
        ([image("banner", 2000, 90), image("b", 300, 200)], "b"),
        ([image("banner", 2000, 90)], "banner"),
        ([image("logo", 800, 600), image("b", 100, 100)], "b"),
        ([image("logo", 800, 600)], None),
    ],
)
def test_the_best_image_comes_first(images, best):
    placeholders = {image_hash("https://i.example/logo")}
    assert best_image(images, placeholders) == (f"https://i.example/{best}" if best else None)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://i.example/1.jpg", "https://i.example/1.jpg"),
        ("//cdn.example/1.jpg", "https://cdn.example/1.jpg"),
        ("/assets/1.jpg", None),
    ],
)
def test_a_path_of_the_senders_site_is_no_image_url(url, expected):
    assert absolute(url) == expected


@pytest.mark.parametrize(
    ("name", "titles", "expected"),
    [
        ("ferry.jpg", 2, False),
        ("ferry.jpg", 9, False),
        ("ferry.jpg", 10, True),
        ("logo.png", 2, False),
        ("site_logo_social.png", 3, True),
        ("SD-default-image.png", 3, True),
        ("shop-with-many-logos.jpg", 3, False),
        ("catalogos.jpg", 3, False),
        ("ferry.jpg?fallback=logo.png", 3, False),
    ],
)
def test_placeholder_images_are_recognised(name, titles, expected):
    assert is_placeholder(f"https://i.example/{name}", titles) == expected
