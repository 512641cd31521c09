// Armadillo on one case, for degenerate.py: a.out FILE n d k full|diag start seed
//
// FILE holds doubles: X (n,d) and, when start is 1, weights (k), means (k,d) and covariances (k,d,d), all row by row.
// Prints a line for each array, or one that begins with "error"; without arguments Armadillo's version.

#include <armadillo>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

using namespace arma;

template <class Array> void show(const char *name, const Array &values) {
    std::printf("%s", name);
    for (double value : values) std::printf(" %.17g", value);
    std::printf("\n");
}

// The settings are those of the manual's example, with 100 EM iterations in the place of 5.
template <class Model> int run(std::FILE *file, uword n, uword d, uword k, bool start) {
    auto read = [&](double *into, size_t count) {
        if (std::fread(into, sizeof(double), count, file) != count) std::abort();
    };
    mat X(d, n), means(d, k);
    read(X.memptr(), X.n_elem);
    Model model;
    if (start) {
        rowvec weights(k);
        cube full(d, d, k);
        read(weights.memptr(), k), read(means.memptr(), means.n_elem), read(full.memptr(), full.n_elem);
        if constexpr (std::is_same_v<Model, gmm_full>) {
            model.set_params(means, full, weights);
        } else {
            mat variances(d, k);
            for (uword c = 0; c < k; c++) variances.col(c) = full.slice(c).diag();
            model.set_params(means, variances, weights);
        }
    }
    const gmm_seed_mode &seed = start ? static_cast<const gmm_seed_mode &>(keep_existing) : random_subset;
    if (!model.learn(X, k, maha_dist, seed, start ? 0 : 10, 100, 1e-10, false)) {
        std::puts("error learn returns false");
        return 0;
    }
    show("weights", model.hefts);
    show("means", model.means);
    if constexpr (std::is_same_v<Model, gmm_full>) show("covariances", model.fcovs);
    else show("variances", model.dcovs);
    show("log_densities", model.log_p(X));
    show("sample", model.generate(50));
    return 0;
}

int main(int count, char **argv) {
    if (count < 8) {
        std::puts(arma_version::as_string().c_str());
        return 0;
    }
    std::FILE *file = std::fopen(argv[1], "rb");
    if (!file) return 1;
    arma_rng::set_seed(std::atoll(argv[7]));
    uword n = std::atoll(argv[2]), d = std::atoll(argv[3]), k = std::atoll(argv[4]);
    bool full = !std::strcmp(argv[5], "full"), start = !std::strcmp(argv[6], "1");
    try {
        return full ? run<gmm_full>(file, n, d, k, start) : run<gmm_diag>(file, n, d, k, start);
    } catch (const std::exception &error) {
        std::printf("error %s\n", error.what());
    }
}
