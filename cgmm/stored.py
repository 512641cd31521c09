"""A fitted estimator as a file, or as a dictionary, and what is made of either."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Self

from cgmm import persistence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cgmm.persistence import Loaded, Packed


class Stored:
    """An estimator of a mixture that can be saved and loaded."""

    _kind: ClassVar[str]  # Under which name its files are known.

    @abstractmethod
    def _packed(self) -> Packed:
        """The fitted model as what a file has of it."""

    @classmethod
    @abstractmethod
    def _of_loaded(cls, loaded: Loaded) -> Self:
        """The model that a file holds."""

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write the fitted model to a file, atomically: an interrupted save leaves an old file whole.

        path may also be a file that is open for writing bytes, such as an io.BytesIO.

        The file is a versioned npz archive without pickle, with the names of the features, and with what
        ``partial_fit`` goes on from (but no rows, which it may still be gathering). Of the constructor's arguments it
        keeps those that JSON can hold (not callbacks, generators, priors, start arrays or masks).

        Parameters
        ----------
        path : str, path-like or binary file
            Where to write, or a file that is open for writing. A name may end in anything, and the file is the same: an
            archive for ``load``, which .npz tells, and no pickle, though its name be model.pkl. (The command line,
            which looks at names before it fits, refuses other endings than .npz.)

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> import io
        >>> file = io.BytesIO()
        >>> model.save(file)
        >>> GMM.load(io.BytesIO(file.getvalue())).n_components
        2
        """
        self._packed().write(path)

    def to_dict(self) -> dict[str, Any]:
        """The fitted model as a dictionary that JSON can hold, for ``from_dict``.

        It has what a file of ``save`` has, arrays as lists: "weights", "means", "covariances", "covariance_type",
        "feature_names", "settings" and what else a model is made of. Numbers that go through JSON are read back
        exactly. Its "format" and "version" tell how it is to be read.

        Returns
        -------
        dict

        Examples
        --------
        >>> import json
        >>> from cgmm import GMM
        >>> text = json.dumps(GMM.from_parameters([1.0], [[0.5]], [[[4.0]]]).to_dict())
        >>> GMM.from_dict(json.loads(text)).means_.tolist()
        [[0.5]]
        """
        return self._packed().told()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The model of a dictionary that ``to_dict`` has made; it predicts bit-identically.

        Parameters
        ----------
        values : dict

        Returns
        -------
        GMM, BayesianGMM or GMMRegressor
            Of the class from which it is called.

        Raises
        ------
        ValueError, TypeError
            The dictionary is none of ``to_dict``'s, of a newer version, or of another class.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM(2, random_state=0).fit([[0.0], [1.0], [9.0], [10.0]])
        >>> GMM.from_dict(model.to_dict()).predict([[2.0], [8.0]]).tolist() == model.predict([[2.0], [8.0]]).tolist()
        True
        """
        return cls._of_loaded(persistence.told(values, cls._kind))

    @classmethod
    def load(cls, path: str | os.PathLike[str] | BinaryIO) -> Self:
        """The model of a file that ``save`` wrote, or of one that is open for reading; it predicts bit-identically.

        Parameters
        ----------
        path : str, path-like or binary file
            What to read, or a file that is open for reading.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            It is damaged, not cgmm's, of a newer version, or holds another kind of model; the message names the file
            and the fault.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.npz")
        ...     model.save(path)
        ...     again = GMM.load(path)
        >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
        True
        """
        return cls._of_loaded(persistence.load(path, cls._kind))
