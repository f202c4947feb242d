# Tries phds_release.R on tiny releases, sound and broken. Run: Rscript test_phds_release.R

source("phds_release.R")
source("phds_figure.R")

numbers_of <- function(counts, shares = character(0)) {
  stats::setNames(rep(c("count", "share"), c(length(counts), length(shares))), c(counts, shares))
}
RATE <- c("rate", "ci_low", "ci_high")
SHARES <- numbers_of(c("numerator", "denominator"), RATE)
FUNNEL <- numbers_of(c("numerator", "denominator"), c(RATE, "limit_998_low", "limit_95_low", "limit_95_high", "limit_998_high"))
CURVE <- numbers_of(c("age_months", "at_risk", "events", "censored"), RATE)
DOSES <- numbers_of(c("persons", "doses"))

SHOWN <- "Travis,m,30,40,0.75,0.6,0.86,shown,internal"
ZERO <- "Unknown,m,0,40,0,0,0.09,zero,internal"
UNRELIABLE <- "Hays,m,12,12,1,0.73,1,unreliable,internal"
SUPPRESSED <- "Loving,m,,,,,,suppressed,internal"
SOUND <- c(SHOWN, ZERO, UNRELIABLE, SUPPRESSED)
POPULATION <- list(denominators = list(list(source = "population:p", description = "d")))
passed <- 0

# Write a release and return its folder. `changes` are to release.json.
release <- function(folder, rows = SOUND, numbers = SHARES, labels = "county", header = NULL, beside = "release.json", changes = list()) {
  doses <- identical(numbers, DOSES)
  columns <- c(labels, if (!doses) "measure", names(numbers), "status", "audience")
  table <- paste0(paste(c(if (is.null(header)) paste(columns, collapse = ",") else header, rows), collapse = "\n"), "\n")
  metadata <- list(
    schema_version = 2, release_id = "r", audience = "internal", marking = "INTERNAL",
    tool = list(name = "phds", version = "0"), indicator = if (doses) "doses" else "coverage", indicator_definition = "d",
    measure = if (!doses) list(id = "m", title = "M", definition = "d", version = "1", fingerprint = "f"),
    cohort = list(description = "c", as_of = "2026-10-31"),
    denominators = list(list(source = "clients", description = "d")),
    dimensions = list(list(id = "county", title = "County")), labels = as.list(labels),
    numbers = unname(Map(function(name, unit) list(name = name, title = name, unit = unit), names(numbers), numbers)),
    interval = if (!doses) list(method = "wilson", level = 0.95), reporting_period = "2026-10", delivery = list(sha256 = "0"),
    dictionary = list(fingerprint = "f"), disclosure = list(k = 11, fingerprint = "f"), caveats = list(),
    table = list(
      format = "csv", file = "table.csv", sha256 = digest::digest(table, algo = "sha256", serialize = FALSE),
      rows = length(rows), columns = as.list(columns)
    )
  )
  metadata[names(changes)] <- changes
  metadata <- Filter(Negate(is.null), metadata) # NULL takes a key out
  cat(table, file = file.path(folder, "table.csv"))
  cat(jsonlite::toJSON(metadata, auto_unbox = TRUE), file = file.path(folder, beside))
  folder
}

new_folder <- function() {
  folder <- tempfile("release")
  dir.create(folder)
  folder
}

check <- function(name, holds) {
  if (!isTRUE(holds)) stop("failed: ", name, call. = FALSE)
  passed <<- passed + 1
  cat("ok  R reader: ", name, "\n", sep = "")
}

accepts <- function(name, rows, ...) {
  check(paste("accepts", name), nrow(read_release(release(new_folder(), rows, ...))$table) == length(rows))
}

# `prepare` gets an empty folder and returns the path to read; the refusal must say `words`.
refuses <- function(name, words, prepare) {
  folder <- new_folder()
  path <- prepare(folder)
  said <- tryCatch({ read_release(path); NULL }, error = conditionMessage)
  if (is.null(said)) stop("failed: accepts ", name, call. = FALSE)
  # The path of the folder is random and may hold the number that must not be told.
  told <- gsub(folder, "", said, fixed = TRUE)
  check(paste("refuses", name), grepl(words, said, fixed = TRUE) && !grepl("77", told))
}

of <- function(...) {
  arguments <- list(...)
  function(folder) do.call(release, c(folder, arguments))
}
with_row <- function(row) of(c(SHOWN, row))
changed <- function(...) of(changes = list(...))

without <- function(name) function(folder) {
  file.remove(file.path(release(folder), name))
  folder
}

folder <- release(new_folder())
sound <- read_release(folder)
check("reads a folder", nrow(sound$table) == 4 && sound$metadata$measure$id == "m")
check("keeps a suppressed row missing", all(is.na(sound$table[4, names(SHARES)])))
check("keeps a zero a zero", sound$table$numerator[2] == 0 && sound$table$rate[2] == 0)
check("reads the rate of an unreliable row", sound$table$rate[3] == 1)
check("reads a table by its path", identical(read_release(file.path(folder, "table.csv")), sound))

folder <- release(new_folder(), beside = "table.csv.release.json", changes = list(release_id = "own"))
invisible(release(folder, changes = list(release_id = "shared")))
check("takes <file>.release.json first", read_release(file.path(folder, "table.csv"))$metadata$release_id == "own")

refuses("a tampered table", "SHA-256 differs", function(folder) {
  file <- file.path(release(folder), "table.csv")
  writeLines(sub("30,40", "31,40", readLines(file)), file)
  folder
})
refuses("a suppressed row with a number", "row 2 is withheld", with_row("Loving,m,77,,,,,suppressed,internal"))
refuses("a suppressed row with an interval", "ci_low", with_row("Loving,m,,,,0.77,,suppressed,internal"))
refuses("a suppressed row with zero in it", "numerator", with_row("Loving,m,0,,,,,suppressed,internal"))
refuses("a row of nobody with a rate", "carries a number in rate", with_row("Loving,m,,,0.77,,,not_applicable,internal"))
refuses("a missing folder", "no release at", function(folder) file.path(folder, "none"))
refuses("a missing release.json", "no release.json", without("release.json"))
refuses("a missing table", "no table", without("table.csv"))
refuses("another table's release.json", "does not describe", function(folder) {
  file.rename(file.path(release(folder), "table.csv"), file.path(folder, "other.csv"))
  file.path(folder, "other.csv")
})
refuses("a table outside the folder", "without a folder", function(folder) {
  file <- file.path(release(folder), "release.json")
  text <- sub('"table.csv"', '"../table.csv"', readLines(file, warn = FALSE), fixed = TRUE)
  writeLines(text, file)
  folder
})
refuses("schema_version 1", "use the notebooks of the phds version", changed(schema_version = 1))
refuses("release.json without a marking", "nothing under marking", changed(marking = NULL))
refuses("rates without a measure", "nothing under measure.id", changed(measure = NULL))
refuses("a number of another unit", "count or share", of(numbers = c(SHARES[-3], rate = "percent")))
refuses("other columns", "columns must be", of(header = "zip,measure,numerator,denominator,rate,ci_low,ci_high,status,audience"))
refuses("an unknown status", "unknown status", with_row("Loving,m,,,,,,hidden,internal"))
refuses("a row without a label", "has no county", with_row(",m,30,40,0.75,0.6,0.86,shown,internal"))
refuses("a row for another audience", "another audience", with_row("Loving,m,,,,,,suppressed,public"))
refuses("a row of another measure", "another measure", with_row("Loving,n,,,,,,suppressed,internal"))
refuses("a rate in percent", "outside 0 to 1", with_row("Hays,m,30,40,77,60,86,shown,internal"))
refuses("a number that is text", "no readable number", with_row("Hays,m,x77,40,0.75,0.6,0.86,shown,internal"))
refuses("half a client", "no readable number", with_row("Hays,m,0.77,40,0.75,0.6,0.86,shown,internal"))
refuses("a shown row without a number", "no numerator", with_row("Hays,m,,,,,,shown,internal"))
refuses("a numerator above its denominator", "more numerator than denominator", with_row("Hays,m,77,40,0.75,0.6,0.86,shown,internal"))
refuses("a rate outside its interval", "outside its interval", with_row("Hays,m,30,40,0.77,0.8,0.86,shown,internal"))
refuses("half an interval", "half an interval", with_row("Hays,m,30,40,0.77,0.6,,shown,internal"))
refuses("a zero that is none", "status zero", with_row("Hays,m,30,40,0.75,0.6,0.86,zero,internal"))
refuses("a row told twice", "repeats", with_row(SHOWN))
refuses("a row that is cut short", "cannot be read as csv", with_row("Hays,m,30"))

# Each kind has numbers of its own.
MORE <- "Hays,m,45,40,1.125,0.91,1,shown,internal"
BESIDE <- c("Hays,population:p,m,45,40,1.125,0.91,1,shown,internal", "Hays,clients,m,30,40,0.75,0.6,0.86,shown,internal")
accepts("more of a population than it has", MORE, changes = POPULATION)
accepts("denominators side by side", BESIDE, labels = c("county", "denominator_source"))
refuses(
  "more than all clients beside a population", "outside 0 to 1",
  of(sub("population:p", "active_1", BESIDE), labels = c("county", "denominator_source"))
)
refuses("an interval above 1 of a population", "ci_high outside", of("Hays,m,45,40,1.125,0.91,1.2,shown,internal", changes = POPULATION))
accepts("limits", "Hays,m,30,40,0.75,0.6,0.86,0.6,0.7,0.9,0.95,shown,internal", numbers = FUNNEL)
refuses("limits that cross", "limits that do not rise", of("Hays,m,30,40,0.75,0.6,0.86,0.7,0.6,0.9,0.95,shown,internal", numbers = FUNNEL))
CURVE_2021 <- c("2021,m,12,90,0,0,0,,,shown,internal", "2021,m,13,90,45,0,0.5,0.4,0.6,shown,internal")
accepts("a curve", c(CURVE_2021, "2022,m,,,,,,,,suppressed,internal"), numbers = CURVE)
refuses("a curve that goes back in age", "rise with age", of(rev(CURVE_2021), numbers = CURVE))
refuses("a curve that falls", "rise with age", of(c(CURVE_2021, "2021,m,14,45,0,0,0.4,0.3,0.5,shown,internal"), numbers = CURVE))
refuses("more events than are at risk", "more events than at_risk", of("2021,m,13,40,77,0,0.5,0.4,0.6,shown,internal", numbers = CURVE))
accepts("doses", c("2024-01,30,40,shown,internal", "2024-02,,,suppressed,internal"), numbers = DOSES, changes = list(denominators = list()))
refuses(
  "more persons than doses", "more persons than doses",
  of("2024-01,77,40,shown,internal", numbers = DOSES, changes = list(denominators = list()))
)

# JSON: the same checks, on numbers that are numbers already.
json <- function(folder, table, text = jsonlite::toJSON(table, na = "null", digits = NA)) {
  release(folder)
  cat(text, file = file.path(folder, "table.json"))
  sha256 <- digest::digest(file = file.path(folder, "table.json"), algo = "sha256")
  metadata <- utils::modifyList(sound$metadata, list(table = list(format = "json", file = "table.json", sha256 = sha256)))
  cat(jsonlite::toJSON(metadata, auto_unbox = TRUE, digits = NA), file = file.path(folder, "release.json"))
  folder
}
check("reads json as it reads csv", isTRUE(all.equal(read_release(json(new_folder(), sound$table))$table, sound$table)))
leaking <- sound$table
leaking$numerator[4] <- 77
refuses("a suppressed row with a number in json", "is withheld", function(folder) json(folder, leaking))
refuses("json of another form", "cannot be read as json", function(folder) json(folder, NULL, "[77, 78]"))

# Parquet, when a package for it is there: the same checks, on columns that are numbers already.
parquet <- function(folder, table) {
  file <- file.path(folder, "table.parquet")
  if (requireNamespace("nanoparquet", quietly = TRUE)) nanoparquet::write_parquet(table, file) else arrow::write_parquet(table, file)
  sha256 <- digest::digest(file = file, algo = "sha256")
  metadata <- utils::modifyList(sound$metadata, list(table = list(format = "parquet", file = "table.parquet", sha256 = sha256)))
  cat(jsonlite::toJSON(metadata, auto_unbox = TRUE, digits = NA), file = file.path(folder, "release.json"))
  folder
}
if (!is.null(binary_reader("parquet"))) {
  check("reads parquet as it reads csv", isTRUE(all.equal(read_release(parquet(new_folder(), sound$table))$table, sound$table)))
  leaking <- sound$table
  leaking$numerator[4] <- 77
  refuses("a suppressed row with a number in parquet", "is withheld", function(folder) parquet(folder, leaking))
} else {
  refuses("parquet without a package for it", "install nanoparquet", function(folder) {
    release(folder, changes = list(table = utils::modifyList(sound$metadata$table, list(format = "parquet"))))
  })
}

# What is computed of a withheld number is missing, and a figure takes no number in its place.
check("a sum with a withheld row is missing", is.na(sum(sound$table$numerator)) && is.na(sound$table$numerator[4] / 40))
check("counts rows by status", all(statuses(sound) == 1) && setequal(names(statuses(sound)), STATUSES[1:4]))
zeroed <- sound
zeroed$table$rate[4] <- 0
said <- tryCatch(rates_by_row(zeroed, "county"), error = conditionMessage)
check("draws no withheld row that has got a number", grepl("got a number on the way", said))

# A map: classes around all rates, borders out of steps, and the middle of an L of three squares.
check("finds classes around all rates", identical(classes_of(c(0.501, 0.85)), seq(50, 90, 10)) && identical(classes_of(0.5), c(50, 51)))
file <- tempfile()
writeLines(c("label,rings", "L,1000 2000 2000 0 0 1000 -1000 0 0 1000 -1000 0"), file)
shape <- read_shapes(file)
check("reads the borders of a shape", identical(shape$x, c(1, 3, 3, 2, 2, 1)) && identical(shape$y, c(2, 2, 3, 3, 4, 4)))
check("finds the middle of a shape", isTRUE(all.equal(unlist(middle_of(shape)[-1]), c(x = 1 + 5 / 6, y = 2 + 5 / 6, wide = 2, high = 2))))
slashes <- hatches(shape, 0.25, 1)
length_of <- sum(slashes$to_x - slashes$x) # lines a quarter apart in the measure of y - x cover the area, 3, once a quarter
check("hatches a shape and nothing around it", abs(length_of * 0.25 - 3) < 0.1 && min(slashes$x) >= 1 && max(slashes$to_x) <= 3)

# Labels that a spreadsheet would compute come with an apostrophe, in CSV alone.
GUARDED <- c("'=1+1", "'+1", "'-1", "'@a", "'\ta", "'\ra", "'a", "''=", "O'Brien", "=1")
TRUE_LABELS <- c("=1+1", "+1", "-1", "@a", "\ta", "\ra", "'a", "'=", "O'Brien", "=1")
rows <- sprintf('"%s"%s', GUARDED, sub("^Loving", "", SUPPRESSED))
check("takes the apostrophe off a label", identical(read_release(release(new_folder(), rows))$table$county, TRUE_LABELS))
header <- "\ufeffcounty,measure,numerator,denominator,rate,ci_low,ci_high,status,audience"
check("reads a table with a byte order mark", nrow(read_release(release(new_folder(), header = header))$table) == 4)

folder <- new_folder()
Sys.setenv(PHDS_RELEASES = folder)
check("names the question file when there is no month", grepl(MAKE_MONTH, tryCatch(month_folders(), error = conditionMessage), fixed = TRUE))
for (name in c("2024-12", "2024-11", "by_county")) dir.create(file.path(folder, name))
check("finds the months in their order", identical(basename(month_folders()), c("2024-11", "2024-12")))
said <- tryCatch(releases_folder("by_birth_year"), error = conditionMessage)
check("names the command when there are no releases", grepl(MAKE_DEMO, said, fixed = TRUE))
cat(passed, "checks passed\n")
