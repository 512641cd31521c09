# Times Mclust(X) on a table and prints what it found, for mclust.py: Rscript mclust.R DATA.csv ROUNDS

suppressPackageStartupMessages(library(mclust))
arguments <- commandArgs(trailingOnly = TRUE)
X <- as.matrix(read.csv(arguments[1]))
invisible(Mclust(X[1:50, ], G = 1:2, verbose = FALSE))
seconds <- numeric(0)
for (round in seq_len(as.integer(arguments[2])))
    seconds <- c(seconds, system.time(found <- Mclust(X, verbose = FALSE))[["elapsed"]])
cat("seconds", seconds, "\n")
for (model in colnames(found$BIC))
    for (k in rownames(found$BIC)) cat(model, k, format(found$BIC[k, model], digits = 17), "\n")
