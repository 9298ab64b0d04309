"""What the tests with broken and odd inputs share: the command in this process, and what it must end with."""

import functools
import io
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from click.testing import CliRunner
from commands import Result
from modelhost.cli import main

SEED = 20240229
CLASS = "class Model:\n    def predict(self, inputs):\n        return {'sum': sum(inputs.values())}\n"
ROWS = "a,b\n1,2\n3,4\n5,6.5\n"


def command(*arguments: object) -> Result:
    """The command in this process: an exception that gets out of it is a failure."""
    ended = CliRunner().invoke(main, list(map(str, arguments)), prog_name="modelhost")
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return Result(ended.exit_code, ended.stdout, ended.stderr)


def assert_sentence(result: Result, codes: tuple[int, ...] = (1, 2)) -> None:
    """It ended as it should, and said why in one line, as people say it."""
    said = result.err.strip().split("\n")
    assert result.code in codes, result
    assert "Traceback" not in result.out + result.err
    assert "fault of modelhost's own" not in result.out + result.err, result.err
    if result.code:
        (first,) = (number for number, line in enumerate(said) if line.lower().startswith("error: "))
        assert len("\n".join(said[first:])) < 13_000, "it quotes all of something endless"


class Raises:
    """A pickle that runs `code` when it is read."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> Any:
        return (exec, (self.code,))


@functools.cache
def valid_models() -> dict[str, bytes]:
    """A good file of each suffix, on two columns."""
    import catboost
    import lightgbm
    import skl2onnx
    import skops.io
    import xgboost
    from sklearn.linear_model import LinearRegression

    rows = np.random.default_rng(0).normal(size=(60, 2))
    target = rows @ [1.0, 2.0]
    linear = LinearRegression().fit(rows, target)
    boosted = xgboost.XGBRegressor(n_estimators=2).fit(rows, target).get_booster()
    cat = catboost.CatBoostRegressor(iterations=2, verbose=False, allow_writing_files=False).fit(rows, target)
    light = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(rows, target).booster_
    dumped = io.BytesIO()
    joblib.dump(linear, dumped)
    cat.save_model("valid.cbm")
    return {
        ".onnx": skl2onnx.to_onnx(linear, rows[:1].astype(np.float32), target_opset=18).SerializeToString(),
        ".joblib": dumped.getvalue(),
        ".pkl": pickle.dumps(linear),
        ".skops": skops.io.dumps(linear),
        ".txt": light.model_to_string().encode(),
        ".json": bytes(boosted.save_raw("json")),
        ".ubj": bytes(boosted.save_raw("ubj")),
        ".cbm": Path("valid.cbm").read_bytes(),
        ".py": CLASS.encode(),
    }


VALID = [".onnx", ".joblib", ".pkl", ".skops", ".txt", ".json", ".ubj", ".cbm", ".py"]


def no_file(kind: str, suffix: str) -> Path:
    path = Path("odd" + suffix)
    if kind == "a folder":
        path.mkdir()
    elif kind == "a loop":
        path.symlink_to(path)
    elif kind == "a link to nowhere":
        path.symlink_to("nowhere")
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a long name":
        path = Path("n" * (255 - len(suffix)) + suffix)
        path.write_bytes(b"x")
    elif kind == "a name too long":
        path = Path("n" * 4000 + suffix)
    elif kind == "a name of no Unicode":
        path = Path(os.fsdecode(b"\xff\xfe" + suffix.encode()))
        path.write_bytes(b"x")
    elif kind == "unreadable":
        path.write_bytes(b"x")
        path.chmod(0)
    return path


NO_FILES = [
    "a folder", "a loop", "a link to nowhere", "a pipe", "a long name", "a name too long",
    "a name of no Unicode", "unreadable",
    "missing",
]  # fmt: skip
