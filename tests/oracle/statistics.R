# What R answers to the questions of src/statistics, as CSV:
#
#     Rscript tests/oracle/statistics.R TABLE > tests/cases/statistics/TABLE.csv
#
# with one of: normal, shares, tails, curves, limits, dispersion, standardized. `curves` needs the package survival (on Debian:
# r-cran-survival); without it, the script ends with status 3. Everything else is base R. Cases are made without chance.

level_of <- c(0.90, 0.95, 0.99)

# The standard normal quantile of a two-sided level.
z_of <- function(level) qnorm(1 - (1 - level) / 2)

normal <- function() {
  level <- c(0.5, 0.68, 0.8, 0.9, 0.95, 0.99, 0.998, 0.999, 0.999999)
  data.frame(level = level, z = z_of(level))
}

# prop.test without correction is Wilson's interval, binom.test the exact one.
shares <- function() {
  counts <- rbind(
    c(0, 1), c(1, 1), c(0, 5), c(1, 5), c(5, 5), c(15, 20), c(0, 40), c(20, 40), c(39, 40), c(40, 40), c(0, 41), c(37, 41),
    c(81, 263), c(15, 148), c(29, 29), c(990, 1000), c(1, 100000), c(99999, 100000), c(123456, 234567), c(0, 3e7),
    c(26999999, 3e7), c(3e7, 3e7))
  rows <- merge(data.frame(numerator = counts[, 1], denominator = counts[, 2]), data.frame(level = level_of))
  ends <- function(of) t(apply(rows, 1, function(row) suppressWarnings(of(row[1], row[2], conf.level = row[3]))$conf.int))
  wilson <- ends(function(x, n, conf.level) prop.test(x, n, conf.level = conf.level, correct = FALSE))
  exact <- ends(binom.test)
  cbind(rows, wilson_low = wilson[, 1], wilson_high = wilson[, 2], exact_low = exact[, 1], exact_high = exact[, 2])
}

tails <- function() {
  rows <- rbind(
    c(0, 1, 0.5), c(0, 10, 0.9), c(3, 10, 0.9), c(9, 10, 0.9), c(10, 10, 0.9), c(50, 100, 0.5), c(2, 1000, 1e-4),
    c(998, 1000, 0.9999), c(900, 1000, 0.9), c(0, 1e6, 0.5), c(9e5, 1e6, 0.9), c(2.7e7 - 3000, 3e7, 0.9), c(1, 3e7, 1e-8))
  colnames(rows) <- c("count", "n", "share")
  rows <- as.data.frame(rows)
  cbind(rows, at_most = pbinom(rows$count, rows$n, rows$share), exactly = dbinom(rows$count, rows$n, rows$share))
}

# survfit of one row for each age and kind, weighted by its count.
curves <- function() {
  if (!requireNamespace("survival", quietly = TRUE)) quit(status = 3)
  cases <- list(
    data.frame(age = c(1, 2, 3, 5), events = c(1, 0, 1, 0), censored = c(0, 1, 0, 1)),
    data.frame(age = 12:24, events = c(2, 40, 300, 220, 90, 60, 30, 20, 15, 9, 4, 2, 1), censored = c(0, rep(7, 11), 130)),
    data.frame(age = c(6, 12, 18), events = c(5, 5, 5), censored = c(0, 0, 0)),
    data.frame(age = c(6, 12, 18), events = c(0, 0, 3), censored = c(4, 1, 9)),
    data.frame(age = c(4, 7), events = c(0, 0), censored = c(3, 8)),
    data.frame(age = 0:59, events = 1000 * (60:1), censored = rep(c(0, 120000, 50), 20)))
  one <- function(case) {
    steps <- cases[[case]]
    long <- rbind(data.frame(age = steps$age, got_there = 1, n = steps$events),
                  data.frame(age = steps$age, got_there = 0, n = steps$censored))
    long <- long[long$n > 0, ]
    fit <- survival::survfit(survival::Surv(age, got_there) ~ 1, data = long, weights = n, conf.type = "log-log",
                             conf.int = 0.95, robust = FALSE)
    share <- 1 - fit$surv
    # R gives a curve that has not begun, or has come to its end, an interval without width, or none.
    known <- share > 0 & share < 1
    first <- function(wanted) if (any(share >= wanted - 1e-12)) min(fit$time[share >= wanted - 1e-12]) else NA
    data.frame(case = case, age = fit$time, events = steps$events, censored = steps$censored, at_risk = fit$n.risk,
               share = share, low = ifelse(known, 1 - fit$upper, NA), high = ifelse(known, 1 - fit$lower, NA),
               median = first(0.5), ninety = first(0.9))
  }
  do.call(rbind, lapply(seq_along(cases), one))
}

# Spiegelhalter's interpolated binomial quantile as a count; the upper limit is the lower one of the complement.
limits <- function() {
  lower <- function(n, share, tail) {
    count <- qbinom(tail, n, share)
    max(0, count - (pbinom(count, n, share) - tail) / dbinom(count, n, share))
  }
  rows <- expand.grid(denominator = c(1, 10, 30, 137, 1000, 250000, 3e7), target = c(0.02, 0.5, 0.905, 0.99), factor = c(1, 3.7))
  limit <- function(tail, side) {
    apply(rows, 1, function(row) {
      n <- row["denominator"]
      end <- if (side == "low") lower(n, row["target"], tail) / n else 1 - lower(n, 1 - row["target"], tail) / n
      min(1, max(0, row["target"] + (end - row["target"]) * sqrt(row["factor"])))
    })
  }
  cbind(rows, low95 = limit(0.025, "low"), high95 = limit(0.025, "high"),
        low998 = limit(0.001, "low"), high998 = limit(0.001, "high"))
}

dispersion <- function() {
  n <- c(40, 55, 80, 120, 200, 260, 300, 410, 520, 800, 1000, 2500)
  met <- list(
    c(36, 50, 71, 109, 180, 235, 268, 371, 467, 722, 898, 2252), # on target, but for chance
    c(30, 54, 60, 118, 150, 255, 240, 405, 420, 790, 800, 2450), # as departments differ
    c(36, 50, 71, 109, 180, 235, 268, 371, 467, 722, 898, 1000)) # one outlier
  few <- data.frame(case = 4, numerator = c(10, 19), denominator = 20, target = 0.9)
  case <- function(at) data.frame(case = at, numerator = met[[at]], denominator = n, target = 0.9)
  many <- data.frame(case = 5, numerator = round(1:301 * 7.9 + 6 * sin(1:301)), denominator = 1:301 * 10, target = 0.8)
  one <- function(rows) {
    theta <- rows$target
    scores <- (rows$numerator / rows$denominator - theta) / sqrt(theta * (1 - theta) / rows$denominator)
    ends <- quantile(scores, c(0.1, 0.9), type = 7)
    factor <- mean(pmin(pmax(scores, ends[1]), ends[2])^2)
    p_value <- pchisq(factor * nrow(rows), nrow(rows), lower.tail = FALSE)
    cbind(rows, factor = factor, p_value = p_value, applied = if (factor > 1 && p_value < 0.05) factor else 1)
  }
  do.call(rbind, lapply(list(case(1), case(2), case(3), few, many), one))
}

# Yan and Su's stratified Wilson interval for given weights.
standardized <- function() {
  cases <- list(
    data.frame(numerator = c(8, 4), denominator = c(10, 10), weight = c(1, 1)),
    data.frame(numerator = c(850, 95, 9), denominator = c(900, 100, 12), weight = c(1000, 3000, 400)),
    data.frame(numerator = c(13), denominator = c(20), weight = c(5)),
    data.frame(numerator = c(20, 300), denominator = c(20, 300), weight = c(2, 1)),
    data.frame(numerator = c(0, 0, 0), denominator = c(3, 40, 500), weight = c(0.2, 0.3, 0.5)),
    data.frame(numerator = c(0, 55), denominator = c(30, 60), weight = c(0.9, 0.1)),
    data.frame(numerator = c(26999999, 1234567), denominator = c(3e7, 2e6), weight = c(1, 2)))
  one <- function(case) {
    rows <- cases[[case]]
    weight <- rows$weight / sum(rows$weight)
    share <- rows$numerator / rows$denominator
    spread <- share * (1 - share) / rows$denominator
    variance <- sum(weight^2 * spread)
    if (variance == 0) spread <- 1 / rows$denominator
    level <- 2 * pnorm(qnorm(0.975) * sqrt(sum(weight^2 * spread)) / sum(weight * sqrt(spread))) - 1
    ends <- mapply(function(x, n) suppressWarnings(prop.test(x, n, conf.level = level, correct = FALSE))$conf.int,
                   rows$numerator, rows$denominator)
    cbind(case = case, rows, share = sum(weight * share), variance = variance, low = sum(weight * ends[1, ]),
          high = sum(weight * ends[2, ]))
  }
  do.call(rbind, lapply(seq_along(cases), one))
}

tables <- list(normal = normal, shares = shares, tails = tails, curves = curves, limits = limits, dispersion = dispersion,
               standardized = standardized)
wanted <- commandArgs(trailingOnly = TRUE)
if (length(wanted) != 1 || !wanted %in% names(tables)) stop("name one table: ", paste(names(tables), collapse = ", "))
table <- tables[[wanted]]()
made_by <- if (wanted == "curves") paste0(", survival ", packageVersion("survival")) else ""
cat("# Made by tests/oracle/statistics.R with R ", as.character(getRversion()), made_by, "\n", sep = "")
table[] <- lapply(table, function(column) trimws(formatC(column, digits = 15, width = 1, format = "g")))
write.csv(table, quote = FALSE, row.names = FALSE)
