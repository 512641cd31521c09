# A pass that is prepared: parameters in the layout of the kernels, and what goes with the rows. Part of _kernels.pyx.


cdef void *address(array) except? NULL:
    """Where the values of a contiguous array are, which someone must keep."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    PyBuffer_Release(&view)
    return view.buf


cdef Py_ssize_t factor_values(const Work *work) noexcept nogil:
    """Numbers in what all components have in the place of factors, where that is not triangular."""
    cdef cgmm_form form = work.mixture.form
    cdef Py_ssize_t d = work.d
    return work.k * (1 if form == CGMM_ISOTROPIC else d * (d + 1) // 2 if form == CGMM_COVARIANCES else d)


cdef Py_ssize_t factor_bytes(const Work *work) noexcept nogil:
    """Bytes of the factors of all components."""
    cdef bint triangular = work.mixture.form == CGMM_TRIANGULAR
    return align((work.k * cgmm_factor_size(work.d) if triangular else factor_values(work)) * work.kernels.itemsize)


cdef Py_ssize_t parameters_size(const Work *work) noexcept nogil:
    """Bytes of the memory that place_parameters divides."""
    cdef Py_ssize_t real = work.kernels.itemsize, d = work.d, k = work.k
    return 2 * align(k * d * real) + align(k * real) + factor_bytes(work) + align(cgmm_factor_size(d) * real)


cdef void place_parameters(Work *work, char *memory, bint whitens) noexcept nogil:
    """OUT work.means, mixture and whitener (NULL unless the pass whitens its rows): where `load` puts them. IN what
    work says of the rows and of the mixture's form; an aligned memory of parameters_size."""
    cdef Py_ssize_t real = work.kernels.itemsize, means = align(work.k * work.d * real)
    cdef cgmm_form form = work.mixture.form
    cdef char *own = memory + means
    cdef char *log_norm = own + means
    cdef char *factor = log_norm + align(work.k * real)
    cdef char *whitener = factor + factor_bytes(work)
    work.mixture.d, work.mixture.k = work.d, work.k
    work.means = memory
    work.mixture.means = own if whitens or form == CGMM_DIAGONAL or form == CGMM_MASKED else memory
    work.mixture.log_norm, work.mixture.factor = log_norm, factor
    work.whitener = whitener if whitens else NULL
    ASAN_UNPOISON_MEMORY_REGION(memory, parameters_size(work))    # the gaps of another layout, of other sizes
    guard(own)
    guard(log_norm)
    guard(factor)
    guard(whitener)


cdef void load(Work *work, const double *means, const double *factor, const double *log_norm, const double *whitener,
               double *scratch) noexcept nogil:
    """OUT what work's means, mixture and whitener point to: parameters about work.centre, in the layout of the kernels.
    IN means, factor, log_norm, whitener (or NULL) as cgmm.mixture.density.Density has them. SCRATCH (k,d)."""
    cdef Py_ssize_t k = work.k, d = work.d, c, i, j
    cdef cgmm_form form = work.mixture.form
    work.kernels.convert(means, k * d, work.centre, d, <void *> work.means)
    work.kernels.convert(log_norm, k, NULL, 1, <void *> work.mixture.log_norm)
    if form == CGMM_TRIANGULAR:
        work.kernels.pack_factor(k, d, factor, <void *> work.mixture.factor)
    else:
        work.kernels.convert(factor, factor_values(work), NULL, 1, <void *> work.mixture.factor)
    if work.whitener != NULL:
        work.kernels.pack_factor(1, d, whitener, <void *> work.whitener)
        memset(scratch, 0, k * d * sizeof(double))
        for c in range(k):
            for i in range(d):
                for j in range(i + 1):
                    scratch[c * d + i] += (means[c * d + j] - work.centre[j]) * whitener[i * d + j]
        work.kernels.convert(scratch, k * d, NULL, 1, <void *> work.mixture.means)
    elif form in (CGMM_DIAGONAL, CGMM_MASKED):
        for c in range(k):
            for j in range(d):
                scratch[c * d + j] = (means[c * d + j] - work.centre[j]) * factor[c * d + j]
        work.kernels.convert(scratch, k * d, NULL, 1, <void *> work.mixture.means)


cdef const double[::1] checked_weights(row_weights, Py_ssize_t n):
    """Row weights (n,), or None."""
    cdef const double[::1] weights = row_weights
    if row_weights is not None and weights.shape[0] != n:
        raise ValueError(f"{weights.shape[0]} row weights for {n} rows")
    return weights


cdef const double *start_of(const double[::1] values) noexcept:
    """Where they begin; NULL of None, or if there are none."""
    if values is None or not values.shape[0]:
        return NULL
    return &values[0]


cdef const Py_ssize_t[::1] checked_labels(known, Py_ssize_t n, Py_ssize_t k):
    """Labels (n,) of rows of which some components are known, −1 where one is not."""
    labels = np.ascontiguousarray(known, dtype=np.intp)
    if len(labels) != n:
        raise ValueError(f"{len(labels)} labels for {n} rows")
    if n and not -1 <= labels.min() <= labels.max() < k:
        raise ValueError(f"labels must be from -1 to {k - 1}, not from {labels.min()} to {labels.max()}")
    return labels


cdef class _Pass:
    """A pass being prepared: the parameters in the layout of the kernels, and the memory that holds them.

    With a guide it is SCREENED, or BOXED if that is of boxes, with groups PIECES, with errors MEASURED; else of the
    kind that is asked for.
    """
    cdef Work work
    cdef Kind kind
    cdef Groups groups
    cdef Kept kept
    cdef char *parameters
    cdef object X, density, row_weights, log_widths
    cdef const double[::1] centre
    cdef const double[::1] weights_view
    cdef const Py_ssize_t[::1] known
    cdef list arrays

    def __cinit__(self, X, density, row_weights=None, moment=None, output=None, guide=None,
                  Py_ssize_t stands_for=0, groups=None, Kind kind=DENSE, known=None, order=None, errors=None,
                  regression=None):
        cdef Work *work = &self.work
        cdef const double[:, ::1] means = density.means
        cdef const double[::1] log_norm = density.log_norm
        cdef const double[:, :, ::1] triangles
        cdef const double[:, ::1] triangle
        cdef const double[::1] scale
        cdef double[::1] scratch
        cdef const double *factor
        cdef const double *whitener = NULL
        cdef Py_ssize_t d, k
        bind(work, X)
        work.measured.single_rows = work.kernels.itemsize == sizeof(float)
        if groups is not None or errors is not None:    # their rows are copied into doubles
            work.kernels = TARGETS[TARGET].f64
        self.X, self.density, self.row_weights = X, density, row_weights
        d, k = work.d, means.shape[0]
        if means.shape[1] != d or density.centre.shape != (d,) or log_norm.shape[0] != k:
            raise ValueError(f"the parameters do not fit rows of {d} features")
        work.k = k
        self.centre = density.centre
        work.centre = &self.centre[0]
        work.mixture.form = FORMS[density.form]
        work.moment = NONE if moment is None else MOMENTS[moment]
        work.output = NO_OUTPUT if output is None else OUTPUTS[output]
        self.weights_view = checked_weights(row_weights, work.n)
        work.row_weights = start_of(self.weights_view)
        work.known = NULL
        if known is not None:
            self.set_known(known, guide)
        self.set_noise(density.noise)
        work.out = NULL
        work.labels = NULL

        self.parameters = <char *> cgmm_allocate(parameters_size(work))
        if self.parameters == NULL:
            raise MemoryError("no memory for the parameters of a pass over the data")
        place_parameters(work, self.parameters, density.whitener is not None)
        if work.mixture.form == CGMM_TRIANGULAR:
            triangles = density.factor
            if triangles.shape[0] != k or triangles.shape[1] != d or triangles.shape[2] != d:
                raise ValueError("factor must be (k,d,d)")
            factor = &triangles[0, 0, 0]
        else:
            scale = np.ascontiguousarray(density.factor, dtype=np.float64).ravel()
            if scale.shape[0] != factor_values(work):
                raise ValueError("factor must be (k,d), isotropic (k,), of rows with errors also (k,d(d+1)/2)")
            factor = &scale[0]
        if density.whitener is not None:
            triangle = density.whitener
            if triangle.shape[0] != d or triangle.shape[1] != d:
                raise ValueError("whitener must be (d,d)")
            whitener = &triangle[0, 0]
        if work.moment == RADIAL and (work.mixture.form != CGMM_ISOTROPIC or work.whitener != NULL):
            raise ValueError("radial moments are those of isotropic densities, of rows that are not whitened")
        scratch = np.empty(k * d)
        load(work, &means[0, 0], factor, &log_norm[0], whitener, &scratch[0])
        if kind in (K_MEANS, CLOSER) and (work.mixture.form != CGMM_ISOTROPIC or work.whitener != NULL):
            raise ValueError("k-means takes isotropic densities, of rows that are not whitened")
        work.stands_for = stands_for
        self.kind = kind
        if guide is not None and moment not in PRUNED:
            raise ValueError(f"a pass with a guide cannot add up {moment} moments")
        if hasattr(guide, "inner"):
            self.kind = BOXED
            self.set_boxes(guide, order)
        elif guide is not None:
            self.kind = SCREENED
            self.set_guide(guide)
        elif groups is not None:
            self.kind = PIECES
            self.set_groups(groups)
        if errors is not None:
            self.kind = MEASURED
            self.set_errors(errors)
        elif work.mixture.form in (CGMM_COVARIANCES, CGMM_VARIANCES):
            raise ValueError("a density of covariances is one of rows with errors")
        if regression is not None:
            self.arrays = list(regression)
            set_regression(&work.predicted.regression, regression, work.d, k)
        lay_out(work, self.kind)

    cdef set_known(self, known, guide):
        """Prepare a pass over rows of which some components are known: known (n,) intp, −1 where one is not."""
        cdef Work *work = &self.work
        if guide is not None:
            raise ValueError("a pass with a guide leaves out components, and those that are known must count")
        self.known = checked_labels(known, work.n, work.k)
        if work.n:
            work.known = &self.known[0]

    cdef set_noise(self, noise):
        """Prepare a pass of a density with a noise component, or without: as cgmm.mixture.density.Density has it."""
        cdef Work *work = &self.work
        work.noisy, work.log_widths = noise is not None, NULL
        if noise is None:
            return
        work.noise, self.log_widths = noise
        if self.log_widths is None:
            return
        if self.log_widths.shape != (work.d,):
            raise ValueError(f"the widths of noise do not fit rows of {work.d} features")
        work.log_widths = <const double *> address(self.log_widths)

    cdef set_guide(self, guide):
        """Prepare a SCREENED pass; guide as cgmm.rows.pruning.Guide."""
        cdef Work *work = &self.work
        cdef Screened *to = &work.screened
        cdef const cgmm_kernels *kernels = work.kernels
        cdef Py_ssize_t d = work.d, k = work.k
        cdef const double[:, :, ::1] directions = guide.directions.reshape(CGMM_GUIDE // 4, 4, d)
        cdef const double[:, :, ::1] roots = guide.roots
        dtype = self.X.dtype
        if roots.shape[0] != k or roots.shape[1] != CGMM_GUIDE or roots.shape[2] != CGMM_GUIDE:
            raise ValueError(f"the guide does not fit {k} components")
        packed = np.ascontiguousarray(np.transpose(directions, (0, 2, 1)), dtype=dtype)
        exact = np.einsum("cj,mj->cm", self.density.means - self.density.centre, guide.directions)
        with np.errstate(over="ignore"):    # infinite in float32: the guess is another component, and any will do
            images, nearest = exact.astype(dtype), exact.astype(np.float32)
        factor = np.empty(k * cgmm_factor_size(CGMM_GUIDE), dtype=dtype)
        kernels.pack_factor(k, CGMM_GUIDE, &roots[0, 0, 0], address(factor))
        self.arrays = [packed, images, factor, nearest]
        rows, columns = np.tril_indices(CGMM_GUIDE)
        values = np.concatenate([images, np.zeros((k, CGMM_GUIDE)), self.density.log_norm[:, np.newaxis],
                                 guide.roots[:, rows, columns]], axis=1)
        boxes = (k + CGMM_BOXES - 1) // CGMM_BOXES
        values = values[np.minimum(np.arange(boxes * CGMM_BOXES), k - 1)].reshape(boxes, CGMM_BOXES, -1)
        self.arrays.append(_aligned(values.transpose(0, 2, 1), work.kernels.itemsize == sizeof(float)))
        to.boxes = address(self.arrays[4])
        to.guide = address(packed)
        to.nearest = <const float *> address(nearest)
        to.marginal = cgmm_mixture(CGMM_TRIANGULAR, CGMM_GUIDE, k, address(images), address(factor),
                                   work.mixture.log_norm, NULL)
        to.margin = 1.0 if work.output == LABELS else kernels.negligible
        self.set_reach(guide.reach)

    cdef set_reach(self, reach):
        """reach as cgmm.rows.pruning.Guide has it: None, if distances of the means are not known."""
        cdef Screened *to = &self.work.screened
        cdef const double[::1] width
        k, padded = self.work.k, (self.work.k + CGMM_BOXES - 1) // CGMM_BOXES * CGMM_BOXES
        to.reach = cgmm_reach(NULL, NULL, NULL)
        if reach is None:
            return
        if reach.apart.shape != (k, k):
            raise ValueError(f"the guide does not fit {k} components")
        apart, each = np.zeros((k, padded)), np.zeros((2, padded))
        apart[:, :k], each[0, :k], each[1] = reach.apart, reach.sharpness, -1e30
        each[1, :k] = self.density.log_norm
        single = self.work.kernels.itemsize == sizeof(float)
        apart, each, width = _aligned(apart, single), _aligned(each, single), np.ascontiguousarray(reach.width)
        self.arrays += [apart, each, width]
        to.reach = cgmm_reach(address(apart), address(each), &width[0])

    cdef set_boxes(self, boxes, order):
        """Prepare a BOXED pass; boxes as cgmm.rows.boxes.Boxes, order as order_of_rows, or None."""
        cdef Work *work = &self.work
        cdef Boxed *to = &work.boxed
        cdef Py_ssize_t d = work.d, k = work.k, real = work.kernels.itemsize
        cdef bint single = real == sizeof(float)
        cdef Py_ssize_t factor = d * (d + 1) // 2 if work.mixture.form == CGMM_TRIANGULAR else d
        if work.whitener != NULL:
            raise ValueError("rows that are whitened have no boxes")
        to.boxes = (k + CGMM_BOXES - 1) // CGMM_BOXES
        sets = (to.boxes + CGMM_BOXES - 1) // CGMM_BOXES
        if (boxes.order.shape != (to.boxes * CGMM_BOXES,) or boxes.scale.shape != (d,)
                or boxes.inner.shape != (to.boxes, 2 * d + 1 + factor, CGMM_BOXES)
                or boxes.outer.shape != (sets, 3 * d + 1, CGMM_BOXES)):
            raise ValueError(f"the boxes do not fit {k} components")
        if order is not None and (order.dtype != np.int32 or order.shape != (work.n,)):
            raise ValueError("an order of rows must be int32 (n,)")
        to.rows = NULL
        if order is not None and work.n:
            to.rows = <const int *> address(order)
        places = np.empty(k, dtype=np.intp)
        places[boxes.order[:k]] = np.arange(k)
        self.arrays = [order, boxes.order, _aligned(boxes.inner, single), _aligned(boxes.outer, single), boxes.scale,
                       places]
        to.places = <const Py_ssize_t *> address(places)
        to.order = <const Py_ssize_t *> address(boxes.order)
        to.inner, to.outer = <const char *> address(self.arrays[2]), <const char *> address(self.arrays[3])
        to.inner_bytes, to.outer_bytes = boxes.inner[0].size * real, boxes.outer[0].size * real
        to.scale = <const double *> address(boxes.scale)
        to.margin = 1.0 if work.output == LABELS else work.kernels.negligible
        norms = self.density.log_norm[np.isfinite(self.density.log_norm)]
        to.highest = norms.max() + 1e-6 * np.abs(norms).max() if len(norms) else 0.0    # of float, rounded up

    cdef set_groups(self, groups):
        """Prepare a PIECES pass; groups as cgmm.rows.patterns.Groups."""
        cdef Work *work = &self.work
        cdef Groups *to = &self.groups
        density = self.density
        self.arrays = [*groups]
        if work.mixture.form == CGMM_MASKED:
            logs, variances = np.log(density.factor) - 0.5 * np.log(2 * np.pi), 1.0 / density.factor**2
            self.arrays += [logs, variances]
            work.mixture.log_scale = address(logs)
            work.variances = address(variances)
        else:
            to.roots = <const double *> address(density.factor if density.whitener is None else density.whitener)
        to.single = self.X.dtype == np.float32
        to.order = <const Py_ssize_t *> address(groups.order)
        to.columns = <const Py_ssize_t *> address(groups.columns)
        to.observed = <const Py_ssize_t *> address(groups.observed)
        to.pattern = <const Py_ssize_t *> address(groups.pattern)
        to.starts = <const Py_ssize_t *> address(groups.starts)
        to.chunks = <const Py_ssize_t *> address(groups.chunks)
        to.n_chunks = len(groups.chunks) - 1
        work.pieces.groups = to

    cdef set_errors(self, errors):
        """Prepare a MEASURED pass; errors (n,d) variances or (n,d,d) covariances, float or double, of any strides."""
        cdef Work *work = &self.work
        cdef Measured *to = &work.measured
        cdef bint apart = work.mixture.form == CGMM_VARIANCES
        if (errors.shape not in ((work.n, work.d), (work.n, work.d, work.d))
                or errors.dtype not in (np.float32, np.float64)):
            raise ValueError(f"errors of shape {errors.shape} do not fit {work.n} rows of {work.d} features")
        if not (apart or work.mixture.form == CGMM_COVARIANCES) or (apart and errors.ndim == 3):
            raise ValueError("rows with errors take a density of covariances, or of variances if errors are diagonal")
        if work.moment not in (DEBLURRED, NONE) or (apart and work.output == TRUTH):
            raise ValueError("rows with errors leave moments of their own")
        self.arrays = [errors]
        to.errors = <const char *> <size_t> errors.ctypes.data
        to.single, to.diagonal = errors.dtype == np.float32, errors.ndim == 2
        for axis in range(errors.ndim):
            to.strides[axis] = errors.strides[axis]

    def __dealloc__(self):
        cgmm_release(self.parameters)
        cgmm_release(self.kept.memory)

    cdef centred_means(self):
        """The means (k,d) about the centre, exactly as the kernels hold them."""
        means = np.empty((self.work.k, self.work.d))
        cdef double[:, ::1] to = means
        self.work.kernels.widen(self.work.means, self.work.k * self.work.d, &to[0, 0])
        return means

    cdef double share(self, sums, Py_ssize_t rows):
        """The share of the dense work that a pass over so many rows did."""
        cdef Work *work = &self.work
        if self.kind not in (SCREENED, BOXED):
            return 1.0
        return float(sums[SUM_OF_WORK]) / (<double> rows * dense_work(work.mixture.form, work.moment, work.d, work.k))

    cdef run(self, int n_threads, sums=None):
        """The sums (work.sums.size,), added to those of earlier parts, if there are."""
        if sums is None:
            sums = np.zeros(self.work.sums.size)
        cdef double[::1] totals = sums
        with nogil:
            run(&self.work, n_threads, &self.kept, &totals[0])
        return sums
