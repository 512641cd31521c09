# mclust on one case, for degenerate.py: Rscript degenerate.R FILE n d k MODEL start prior seed
#
# FILE holds doubles: X (n,d) and, when start is 1, responsibilities (n,k), all row by row. Prints a line for each
# array and for each warning, or one that begins with "error".

suppressMessages(library(mclust))
arguments <- commandArgs(trailingOnly = TRUE)
n <- as.integer(arguments[2]); d <- as.integer(arguments[3]); k <- as.integer(arguments[4])
model <- arguments[5]
file <- file(arguments[1], "rb")
rows <- function(columns) matrix(readBin(file, "double", n * columns), n, columns, byrow = TRUE)
show <- function(name, values) cat(name, formatC(as.numeric(values), digits = 17, format = "g"), "\n")

X <- rows(d)
if (d == 1) model <- if (model == "EEE") "E" else "V"
prior <- if (arguments[7] == "1") priorControl() else NULL
tell <- function(w) { cat("warning", conditionMessage(w), "\n"); invokeRestart("muffleWarning") }
set.seed(as.integer(arguments[8]))
doing <- ""
tryCatch(withCallingHandlers({
    if (arguments[6] == "1") fit <- me(X, model, z = rows(k), prior = prior)
    else fit <- Mclust(X, G = k, modelNames = model, prior = prior, verbose = FALSE)
    if (is.null(fit)) stop("Mclust returns NULL")
    variance <- fit$parameters$variance
    full <- if (d == 1) rep_len(variance$sigmasq, k) else variance$sigma
    show("log_likelihood", fit$loglik)
    show("weights", fit$parameters$pro)
    show("means", fit$parameters$mean)  # (d, k) by columns: (k, d) by rows
    show("covariances", full)
    if (!anyNA(full)) {
        doing <- "predicting: "
        show("responsibilities", estep(X, fit$modelName, fit$parameters)$z)
        doing <- "sampling: "
        show("sample", sim(fit$modelName, fit$parameters, n = 50))
    }
}, warning = tell), error = function(e) cat("error ", doing, conditionMessage(e), "\n", sep = ""))
