# Read a phds release: the table, and what `release.json` says about it.
#
# A release is a table of aggregates that has passed disclosure control. This file reads
# releases and nothing else. It refuses, with stop(), whatever is not a whole and unaltered
# release, and its messages name places (file, row, column), never a cell's number.
#
#   release <- read_release("demo/releases/by_county")
#   release$table; release$metadata
#
# Needs the packages jsonlite and digest; for Parquet nanoparquet or arrow, for Arrow files arrow.

SCHEMA_VERSION <- "2"
WITH_NUMBERS <- c("shown", "zero", "unreliable")
STATUSES <- c(WITH_NUMBERS, "suppressed", "not_applicable")
INTERVAL <- c("ci_low", "ci_high")
RISING <- c("limit_998_low", "limit_95_low", "limit_95_high", "limit_998_high")
REQUIRED <- c(
  "schema_version", "release_id", "audience", "marking", "tool.name", "tool.version", "indicator", "indicator_definition",
  "cohort.description", "cohort.as_of", "denominators", "dimensions", "labels", "numbers", "reporting_period",
  "delivery.sha256", "dictionary.fingerprint", "disclosure.k", "disclosure.fingerprint", "caveats",
  "table.format", "table.file", "table.sha256", "table.rows", "table.columns"
)
REQUIRED_OF_RATES <- c(
  "measure.id", "measure.title", "measure.definition", "measure.version", "measure.fingerprint", "interval.method", "interval.level"
)
# The apostrophe that phds writes in CSV before a label that a spreadsheet would take for a formula, behind any apostrophes.
GUARD <- "^'(?='*[=+@\t\r-])"
MAKE_DEMO <- "cargo run --release -- demo"
MAKE_MONTH <- "phds query notebooks/monthly.toml --store STORE --period YYYY-MM --out RELEASES/YYYY-MM"

refuse_release <- function(...) stop(paste0(...), call. = FALSE)

# The first of `path` that is there, in the working folder or above it; in the working folder when it is nowhere.
find_above <- function(path, here = normalizePath(getwd())) {
  if (file.exists(file.path(here, path)) || dirname(here) == here) file.path(here, path) else find_above(path, dirname(here))
}

# The folder of releases, which has the folders `needed`: the one that PHDS_RELEASES names, else `demo/releases`, which the
# demonstration makes, in the working folder or above it.
releases_folder <- function(needed = "") {
  folder <- Sys.getenv("PHDS_RELEASES", find_above("demo/releases"))
  for (name in needed) {
    if (!dir.exists(file.path(folder, name))) {
      refuse_release(
        "no release folder `", name, "` in ", folder,
        "\nhint: run `", MAKE_DEMO, "` in the top folder of phds, or set PHDS_RELEASES to a folder that has it"
      )
    }
  }
  folder
}

# The folders of the releases of each month, the earliest first: those called YYYY-MM in the folder of releases.
month_folders <- function() {
  months <- sort(list.files(releases_folder(), "^[0-9]{4}-[0-9]{2}$", full.names = TRUE))
  if (length(months) == 0) {
    refuse_release("no folder of a month in ", releases_folder(), "\nhint: run `", MAKE_MONTH, "`")
  }
  months
}

# Returns list(table, metadata) of the release at `path`: its folder, or its table.
#
# Stops when the table is not the one that `release.json` describes (SHA-256, columns, rows), when a withheld row carries
# a number, or when a number cannot be. Numbers of suppressed and not applicable rows are NA, never zero, and what is
# computed of them is NA, sums too. Do not ask for na.rm = TRUE: that counts them as zero after all.
read_release <- function(path) {
  found <- locate_release(path)
  metadata <- read_release_metadata(found$metadata)
  name <- metadata$table$file
  if (is.null(found$table)) {
    if (basename(name) != name || name %in% c(".", "..")) {
      refuse_release(found$metadata, ": table.file must be a file name, without a folder")
    }
    found$table <- file.path(dirname(found$metadata), name)
  } else if (basename(found$metadata) == "release.json" && name != basename(found$table)) {
    refuse_release(found$metadata, " does not describe the table ", basename(found$table))
  }
  if (!file.exists(found$table)) {
    refuse_release("no table ", found$table, "\nhint: make the release again")
  }

  # Read once: what is verified is what is used.
  content <- readBin(found$table, "raw", file.size(found$table))
  if (digest::digest(content, algo = "sha256", serialize = FALSE) != tolower(metadata$table$sha256)) {
    refuse_release(
      found$table, " is not the table that ", basename(found$metadata), " describes (its SHA-256 differs)",
      "\nhint: a release is never edited; make it again"
    )
  }
  table <- parse_release(content, metadata$table$format, found$table)
  check_release_columns(table, metadata, found$table)
  if (metadata$table$format == "csv") {
    for (name in unlist(metadata$labels)) table[[name]] <- sub(GUARD, "", table[[name]], perl = TRUE)
  }
  list(table = check_release_cells(table, metadata, found$table), metadata = metadata)
}

locate_release <- function(path) {
  if (dir.exists(path)) {
    table <- NULL
    candidates <- file.path(path, "release.json")
  } else if (file.exists(path)) {
    table <- path
    candidates <- c(paste0(path, ".release.json"), file.path(dirname(path), "release.json"))
  } else {
    refuse_release("no release at ", path, "\nhint: `", MAKE_DEMO, "` makes the demonstration releases, `", MAKE_MONTH, "` those of a month")
  }
  candidates <- candidates[file.exists(candidates)]
  if (length(candidates) == 0) {
    refuse_release("no release.json with ", path, "\nhint: a table without its release.json is not a release")
  }
  list(table = table, metadata = candidates[1])
}

read_release_metadata <- function(file) {
  text <- paste(readLines(file, encoding = "UTF-8", warn = FALSE), collapse = "\n")
  metadata <- tryCatch(
    jsonlite::fromJSON(text, simplifyVector = FALSE),
    error = function(e) refuse_release(file, " is not JSON")
  )
  version <- if (is.list(metadata)) metadata[["schema_version"]]
  if (is.null(version) || sub("\\..*", "", version) != SCHEMA_VERSION) {
    refuse_release(
      file, ": schema_version must be ", SCHEMA_VERSION,
      "\nhint: use the notebooks of the phds version that made the release"
    )
  }
  absent <- Filter(function(key) {
    value <- release_value(metadata, key)
    is.null(value) || identical(value, "")
  }, c(REQUIRED, if (!identical(metadata$indicator, "doses")) REQUIRED_OF_RATES))
  if (length(absent) > 0) {
    refuse_release(file, ": nothing under ", paste(absent, collapse = ", "))
  }
  metadata
}

release_value <- function(metadata, dotted) {
  for (key in strsplit(dotted, ".", fixed = TRUE)[[1]]) {
    metadata <- if (is.list(metadata)) metadata[[key]]
  }
  metadata
}

# The table as text and numbers; of CSV every field is text.
parse_release <- function(content, format, file) {
  unreadable <- function(e) refuse_release(file, " cannot be read as ", format) # R's own text may show a row
  parse <- switch(format, csv = parse_csv, json = parse_json, binary_reader(format))
  if (is.null(parse)) {
    refuse_release(
      file, ": no package here reads ", format,
      "\nhint: make the release with --format csv, or install nanoparquet (Parquet) or arrow (Parquet and Arrow)"
    )
  }
  tryCatch(parse(content), error = unreadable, warning = unreadable)
}

# "NA" is a word here and an empty field is an empty field.
parse_csv <- function(content) {
  mark <- as.raw(c(0xef, 0xbb, 0xbf)) # a byte order mark, which Excel likes
  text <- rawToChar(if (identical(content[1:3], mark)) content[-(1:3)] else content)
  Encoding(text) <- "UTF-8"
  stopifnot(validUTF8(text))
  held <- "\u241d" # R reads a carriage return in a field as a new line
  table <- read.csv(
    text = gsub("\r(?!\n)", held, text, perl = TRUE), colClasses = "character", na.strings = character(0), check.names = FALSE,
    fill = FALSE, comment.char = "", encoding = "UTF-8"
  )
  table[] <- lapply(table, function(column) gsub(held, "\r", column, fixed = TRUE))
  table
}

parse_json <- function(content) {
  text <- rawToChar(content)
  Encoding(text) <- "UTF-8"
  table <- jsonlite::fromJSON(text)
  stopifnot(is.data.frame(table))
  table
}

# A function of the bytes of a file, by the package that is there; NULL when there is none.
binary_reader <- function(format) {
  has <- function(package) requireNamespace(package, quietly = TRUE)
  read <- if (format == "parquet" && has("nanoparquet")) {
    nanoparquet::read_parquet
  } else if (format == "parquet" && has("arrow")) {
    arrow::read_parquet
  } else if (format == "arrow" && has("arrow")) {
    arrow::read_ipc_file
  }
  if (!is.null(read)) {
    function(content) {
      copy <- tempfile() # of the bytes that were verified
      on.exit(unlink(copy))
      writeBin(content, copy)
      as.data.frame(read(copy))
    }
  }
}

# The names and units of the numbers.
release_units <- function(metadata, file) {
  units <- lapply(metadata$numbers, function(number) if (isTRUE(number$unit %in% c("count", "share"))) number$unit)
  names <- lapply(metadata$numbers, function(number) number$name)
  if (any(lengths(units) == 0 | lengths(names) == 0)) {
    refuse_release(file, ": each entry of numbers needs a name, and count or share as its unit")
  }
  stats::setNames(unlist(units), unlist(names))
}

check_release_columns <- function(table, metadata, file) {
  units <- release_units(metadata, file)
  expected <- c(unlist(metadata$labels), if (!is.null(metadata$measure)) "measure", names(units), "status", "audience")
  if (!identical(names(table), expected)) {
    refuse_release(file, ": columns must be ", paste(expected, collapse = ", "))
  }
  if (!identical(unlist(metadata$table$columns), expected) || metadata$table$rows != nrow(table)) {
    refuse_release(file, ": release.json tells of other columns or rows than the table has")
  }
}

check_release_cells <- function(table, metadata, file) {
  refuse <- function(bad, why) {
    bad <- which(bad)
    if (length(bad) > 0) {
      refuse_release(file, ": row ", bad[1], " ", why, "\nhint: do not use this release; report it")
    }
  }
  units <- release_units(metadata, file)
  texts <- setdiff(names(table), names(units))
  for (name in texts) refuse(is.na(table[[name]]) | table[[name]] == "", paste("has no", name))
  refuse(!table$status %in% STATUSES, "has an unknown status")
  refuse(table$audience != metadata$audience, "has another audience than release.json")
  if (!is.null(metadata$measure)) {
    measure <- paste(c(metadata$from_measure$id, metadata$measure$id), collapse = " to ")
    refuse(table$measure != measure, "has another measure than release.json")
  }
  rows <- c(unlist(metadata$labels), intersect("age_months", names(units)))
  refuse(duplicated(table[rows]), "repeats an earlier row")

  # First of all, before any number is parsed: a withheld row that carries anything is a leak.
  withheld <- !table$status %in% WITH_NUMBERS
  for (name in names(units)) {
    text <- as.character(table[[name]])
    filled <- !is.na(text) & text != ""
    refuse(withheld & filled, paste("is withheld (suppressed or not applicable) and carries a number in", name))
    numbers <- rep(NA_real_, nrow(table))
    numbers[filled] <- suppressWarnings(as.numeric(table[[name]][filled]))
    whole <- units[[name]] == "share" | (numbers >= 0 & numbers %% 1 == 0)
    refuse(filled & !(is.finite(numbers) & whole), paste("has no readable number in", name))
    if (!name %in% INTERVAL) refuse(!withheld & !filled, paste("has no", name))
    table[[name]] <- numbers
  }

  # A population is another source of counts than the file: it may be the smaller one.
  sources <- vapply(metadata$denominators, function(denominator) denominator$source, "")
  source <- if (is.null(table$denominator_source)) rep(paste(sources, collapse = ""), nrow(table)) else table$denominator_source
  of_population <- startsWith(source, "population:")
  for (name in names(units)[units == "share"]) {
    above <- table[[name]] > 1 & !(of_population & name == "rate")
    refuse(table[[name]] < 0 | above, paste("has a", name, "outside 0 to 1"))
  }
  for (pair in list(c("numerator", "denominator"), c("events", "at_risk"), c("persons", "doses"))) {
    if (pair[1] %in% names(units)) {
      refuse(table[[pair[1]]] > table[[pair[2]]] & !of_population, paste("has more", pair[1], "than", pair[2]))
    }
  }
  first <- intersect(c("numerator", "persons"), names(units))
  if (length(first)) refuse(table$status == "zero" & table[[first]] != 0, "has status zero and another number")
  if ("rate" %in% names(units)) {
    with(table, {
      refuse(is.na(ci_low) != is.na(ci_high), "has half an interval")
      refuse((ci_low > rate + 1e-9 | ci_high < rate - 1e-9) & !of_population, "has a rate outside its interval")
    })
  }
  for (at in seq_along(RISING)[-1]) {
    if (RISING[at] %in% names(units)) refuse(table[[RISING[at - 1]]] > table[[RISING[at]]], "has limits that do not rise")
  }
  if ("age_months" %in% names(units)) {
    curve <- interaction(table[unlist(metadata$labels)], drop = TRUE)
    back <- function(column) ave(column, curve, FUN = function(x) c(FALSE, diff(x) < 0)) == 1
    refuse(back(table$age_months) | back(table$rate), "is of a curve that does not rise with age")
  }
  table
}
