from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

pytest.importorskip("cv2")

from oneshot_runtime.camera.frame_reader import Sighting
from oneshot_runtime.camera.sources import Frame
from oneshot_runtime.camera.teaching import Take, Teacher

WIDTH, HEIGHT, FPS = 640, 360, 30


def crop(blur: float = 0.5) -> np.ndarray:
    image = Image.new("L", (80, 80), 255)
    ImageDraw.Draw(image).line([(10, 70), (40, 10), (70, 70)], fill=0, width=6)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(blur)))


def symbol(track: int = 1, x: float = 0, y: float = 0, blur: float = 0.5) -> Sighting:
    """A symbol of 80 by 80 pixels, its middle `x` and `y` off that of the frame."""
    box = (round(WIDTH / 2 - 40 + x), round(HEIGHT / 2 - 40 + y), 80, 80)
    return Sighting(track, box, None, 0.0, (), crop(blur))


PAPER = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
SHADOWED = PAPER.copy()
SHADOWED[:, WIDTH // 2 :] = 90


def watched(teacher: Teacher, shows: list[tuple[Sighting, ...]], image: np.ndarray = PAPER, first: int = 30) -> Take | None:
    """What the teacher takes while these are shown from frame `first` on."""
    for number, seen in enumerate(shows, first):
        if (take := teacher.watch(Frame(image, number / FPS, number), seen)) is not None:
            return take
    return None


def test_a_live_symbol_is_taken_after_seven_tenths_of_a_second_at_its_sharpest() -> None:
    shows = [(symbol(blur=0.5 if number == 9 else 1.0),) for number in range(40)]
    take = watched(Teacher(live=True, still=False), shows)
    assert take is not None
    assert (take.number, take.frames) == (39, 22)
    assert (take.symbol.crop == crop(0.5)).all()


def test_the_first_half_second_of_a_camera_is_not_used() -> None:
    teacher = Teacher(live=True, still=False)
    assert watched(teacher, [(symbol(),)] * 36, first=0) is None
    assert watched(teacher, [(symbol(),)], first=36) is not None


@pytest.mark.parametrize(
    ("shows", "image", "problem"),
    [
        ([()] * 60, PAPER, "no symbol"),
        ([(symbol(x=46),)] * 60, PAPER, "no symbol"),  # beside the corners
        ([(symbol(1, x=-20), symbol(2, x=20))] * 60, PAPER, "2 symbols"),
        ([(symbol(number),) for number in range(60)], PAPER, "held still"),  # another one in each frame
        ([(symbol(x=-40 + 1.3 * number),) for number in range(60)], PAPER, "held still"),
        ([(symbol(blur=6),)] * 60, PAPER, "not sharp"),
        ([(symbol(),)] * 60, SHADOWED, "shadow"),
        ([(symbol(),)] * 60, PAPER // 20, "dark"),
        ([(symbol(blur=0.5 if number % 15 else 6),) for number in range(60)], PAPER, "sharp"),  # never long enough
    ],
)
@pytest.mark.parametrize("live", [True, False])
def test_what_a_person_would_not_choose_is_refused_with_the_reason(live, shows, image, problem) -> None:
    teacher = Teacher(live=live, still=False)
    assert watched(teacher, shows, image) is None
    assert teacher.best is None
    assert problem in teacher.problem


def test_a_file_is_taught_from_the_best_of_its_stretches() -> None:
    teacher = Teacher(live=False, still=False)
    shows = [(symbol(1, blur=1.2),)] * 30 + [()] * 5 + [(symbol(2, blur=0.5),)] * 30 + [(symbol(3, blur=1.0),)] * 30
    assert watched(teacher, shows, first=0) is None
    assert teacher.best is not None
    assert teacher.best.symbol.track == 2


def test_each_picture_is_a_stretch_of_its_own() -> None:
    teacher = Teacher(live=False, still=True)
    watched(teacher, [(symbol(1, blur=2.0),), (symbol(2),), (symbol(3, x=-10), symbol(4, x=10))], first=0)
    assert teacher.best is not None
    assert (teacher.best.symbol.track, teacher.best.frames) == (2, 1)
