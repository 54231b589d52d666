"""Presets on Kaggle and Hugging Face, by the hubs' own clients: their caches, their credentials, their progress bars.

Files are fetched one by one, as they are asked for. All come from the version of the first one.
"""

import importlib
import re
from pathlib import Path
from typing import Any

from refimpl.errors import HubError, MissingHubClientError, PresetError, PresetFileNotFoundError
from refimpl.presets.folder import CONFIG_FILE, PresetFolder, check_name


class HubFolder(PresetFolder):
    """A preset on a hub. Its folder is the client's cache, and is known from the first file on."""

    scheme = ""
    form = ""
    package = ""

    def __init__(self, handle: str) -> None:
        self.handle = handle
        self._check_handle()
        self._client = self._load(self.package)
        self._absent: set[str] = set()
        self._fetched: set[str] = set()
        try:
            self.path = self._fetch(CONFIG_FILE).parent
        except PresetFileNotFoundError as error:
            if not isinstance(error, AbsentError):
                raise
            self.path = Path(f"{self.scheme}://{handle}")
            self._absent.add(CONFIG_FILE)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.handle}"

    def find(self, name: str) -> Path | None:
        """Fetch a file, unless the preset has none of that name.

        Spec: presets.hub.only-needed, presets.hub.one-version, presets.hub.offline
        """
        check_name(name)
        if name in self._absent or CONFIG_FILE in self._absent:
            return None
        if name not in self._fetched:
            try:
                self._fetch(name)
            except AbsentError:
                self._absent.add(name)
                return None
            self._fetched.add(name)
        return super().find(name)

    def names(self) -> list[str]:
        """The first few names in the cache."""
        return super().names() if self.path.is_dir() else []

    def _fetch(self, name: str) -> Path:
        """The path of a file in the client's cache. Raises: AbsentError, PresetFileNotFoundError, HubError."""
        raise NotImplementedError

    def _check_handle(self) -> None:
        raise NotImplementedError

    def _load(self, module: str) -> Any:
        """A client's module, imported when it is first needed.

        Spec: presets.hub.missing-client
        """
        try:
            return importlib.import_module(module)
        except ImportError as error:
            raise MissingHubClientError(
                f"`from_preset()` needs the package `{self.package}` for {self}: {error}.",
                "The clients of the hubs belong to the extra `hub`.",
                'Install it with pip install "seq2seq-refimpl[hub]", or pass the path of a local folder.',
                "presets.hub.missing-client",
            ) from error

    def _bad_handle(self, problem: str) -> PresetError:
        return PresetError(
            f"Unexpected preset {self}: {problem}.",
            f"A handle has the form {self.form}.",
            "Copy it from the model's page.",
            f"presets.identifier.{self.scheme}",
        )

    def _missing(self, what: str, mend: str = "Check the spelling of the handle.") -> PresetFileNotFoundError:
        must = "The preset must be on the hub and open to you."
        return PresetFileNotFoundError(what, must, mend, "presets.hub.not-found")

    def _failed(self, error: Exception) -> HubError:
        return HubError(
            f"{self} could not be fetched: {type(error).__name__}: {error!s:.300}.",
            "The hub must answer, or its cache must hold the preset.",
            "Check the connection and try again, or pass the path of a local folder.",
            "presets.hub.failed",
        )


class AbsentError(PresetFileNotFoundError):
    """The preset is there and has no such file."""


class KaggleFolder(HubFolder):
    """`kaggle://user/model/framework/variant[/version]`. Spec: presets.identifier.kaggle"""

    scheme = "kaggle"
    form = "kaggle://<user>/<model>/<framework>/<variant>[/<version>]"
    package = "kagglehub"

    def _check_handle(self) -> None:
        parts = self.handle.split("/")
        if len(parts) not in (4, 5):
            raise self._bad_handle(f"it has {len(parts)} parts, not 4 or 5")
        if not all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", part) for part in parts):
            raise self._bad_handle("a part is empty, or has other signs than letters, digits, dot, dash, underscore")
        if len(parts) == 5 and not re.fullmatch(r"[1-9][0-9]{0,8}", parts[4]):
            raise self._bad_handle(f"the version {parts[4]!r:.40} is no number")
        self._version = parts[4] if len(parts) == 5 else None

    def _fetch(self, name: str) -> Path:
        requests = self._load("requests")
        exceptions = self._load("kagglehub.exceptions")
        handle = self.handle if self._version in (None, self.handle.rpartition("/")[2]) else self._pinned()
        try:
            path = Path(self._client.model_download(handle, name))
        except exceptions.KaggleApiHTTPError as error:
            status = getattr(error.response, "status_code", None)
            raise self._refused(name, status, error) from error
        except requests.exceptions.ConnectionError as error:
            path = self._cached(name, error)
        except (requests.exceptions.RequestException, exceptions.DataCorruptionError, OSError) as error:
            raise self._failed(error) from error
        except ValueError as error:
            if "is not present in the model files" in str(error):  # in Kaggle's notebooks
                raise AbsentError(str(error), "", "") from error
            raise self._bad_handle(f"{error!s:.200}") from error
        if self._version is None:
            version = path.parents[len(Path(name).parts) - 1].name
            self._version = version if version.isdigit() else None
        return path

    def _pinned(self) -> str:
        return f"{self.handle}/{self._version}"

    def _cached(self, name: str, error: Exception) -> Path:
        """Without a connection: the file of the newest version in the cache.

        Spec: presets.hub.offline
        """
        if hasattr(self, "path"):  # the preset itself is there
            raise AbsentError(f"`{name}` of {self} is not in the cache.", "", "") from error
        root = Path(self._load("kagglehub.config").get_cache_folder(), "models", self.handle)
        versions = sorted((int(entry.name) for entry in root.glob("*") if entry.name.isdigit()), reverse=True)
        for version in versions if self._version is None else []:
            if (root / str(version) / name).is_file():
                self._version = str(version)
                return root / str(version) / name
        raise self._failed(error) from error

    def _refused(self, name: str, status: object, error: Exception) -> Exception:
        """What a status of Kaggle's means. A missing file and a missing model look alike there."""
        if status == 404:
            return AbsentError(f"`{name}` doesn't exist in preset directory `{self}`.", "", "")
        if status in (401, 403):
            return self._missing(
                f"`{name}` of {self} is not open to you (status {status}).",
                "Log in with kagglehub.login(), and accept the model's terms on its page.",
            )
        return self._failed(error)


class HuggingFaceFolder(HubFolder):
    """`hf://user/model`. Spec: presets.identifier.hf"""

    scheme = "hf"
    form = "hf://<user>/<model>"
    package = "huggingface_hub"

    def _check_handle(self) -> None:
        parts = self.handle.split("/")
        if len(parts) > 2 or not all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", part) for part in parts):
            raise self._bad_handle("it is no <user>/<model>")
        self._revision: str | None = None

    def _fetch(self, name: str) -> Path:
        errors = self._load("huggingface_hub.errors")
        try:
            path = Path(self._client.hf_hub_download(self.handle, name, revision=self._revision))
        except errors.GatedRepoError as error:
            mend = "Accept the model's terms on its page, and log in with `hf auth login`."
            raise self._missing(f"{self} is not open to you.", mend) from error
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
            raise self._missing(f"{self} does not exist, or is private.") from error
        except errors.LocalEntryNotFoundError as error:
            if hasattr(self, "path"):  # the preset itself is there
                raise AbsentError(f"`{name}` of {self} is not in the cache.", "", "") from error
            mend = "Check the connection and try again, or pass the path of a local folder."
            raise self._missing(f"{self} is not in the cache, and the hub can't be reached.", mend) from error
        except errors.EntryNotFoundError as error:
            raise AbsentError(f"`{name}` doesn't exist in preset directory `{self}`.", "", "") from error
        except errors.HFValidationError as error:
            raise self._bad_handle(f"{error!s:.200}") from error
        except Exception as error:  # the client's transport has errors of its own
            raise self._failed(error) from error
        if self._revision is None:
            self._revision = path.parents[len(Path(name).parts) - 1].name
        return path
