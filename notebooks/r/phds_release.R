# Read a phds release: the table, and what `release.json` says about it.
#
# A release is a table of aggregates that has passed disclosure control. This file reads
# releases and nothing else. It refuses, with stop(), whatever is not a whole and unaltered
# release, and its messages name places (file, row, column), never a cell's number.
#
#   release <- read_release("demo/releases/by_county")
#   release$table; release$metadata
#
# Needs the packages jsonlite and digest. Reads CSV tables; Parquet and Arrow are for Python.

SCHEMA_VERSION <- "1"
NUMBERS <- c("numerator", "denominator", "rate", "ci_low", "ci_high")
COLUMNS <- c("measure", NUMBERS, "status", "audience")
WITH_NUMBERS <- c("shown", "zero")
STATUSES <- c(WITH_NUMBERS, "suppressed", "not_applicable", "unreliable")
REQUIRED <- c(
  "schema_version", "release_id", "audience", "marking", "tool.name", "tool.version",
  "measure.id", "measure.title", "measure.definition", "measure.version", "measure.fingerprint",
  "cohort.description", "cohort.as_of", "denominator.source", "denominator.description",
  "dimensions", "interval.method", "interval.level", "delivery.sha256", "dictionary.fingerprint",
  "disclosure.k", "disclosure.fingerprint", "caveats",
  "table.format", "table.file", "table.sha256", "table.rows", "table.columns"
)
MAKE_DEMO <- "cargo run --release -- demo"

refuse_release <- function(...) stop(paste0(...), call. = FALSE)

# The folder of releases: PHDS_RELEASES, else the one that the demonstration makes.
releases_folder <- function(here = getwd()) {
  folder <- Sys.getenv("PHDS_RELEASES", file.path(here, "..", "..", "demo", "releases"))
  for (name in c("by_county", "by_birth_year")) {
    if (!dir.exists(file.path(folder, name))) {
      refuse_release(
        "no release folder `", name, "` in ", folder,
        "\nhint: run `", MAKE_DEMO, "` in the top folder of phds, or set PHDS_RELEASES",
        " to a folder that has by_county/ and by_birth_year/"
      )
    }
  }
  folder
}

# Returns list(table, metadata) of the release at `path`: its folder, or its table.
#
# Suppressed, unreliable and not applicable cells are NA, never zero. Do not add cells up:
# sum(..., na.rm = TRUE) skips the missing ones, and so counts them as zero after all.
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
  if (metadata$table$format != "csv") {
    refuse_release(found$table, ": R reads CSV releases\nhint: make the release with the format csv")
  }
  table <- parse_release_csv(content, found$table)
  check_release_columns(table, metadata, found$table)
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
    refuse_release("no release at ", path, "\nhint: `", MAKE_DEMO, "` makes the demonstration releases")
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
  }, REQUIRED)
  if (length(absent) > 0) {
    refuse_release(file, ": nothing under ", paste(absent, collapse = ", "))
  }
  if (!metadata$audience %in% c("internal", "public")) {
    refuse_release(file, ": audience must be internal or public")
  }
  metadata
}

release_value <- function(metadata, dotted) {
  for (key in strsplit(dotted, ".", fixed = TRUE)[[1]]) {
    metadata <- if (is.list(metadata)) metadata[[key]]
  }
  metadata
}

# Every field as text: "NA" is a word here and an empty field is an empty field.
parse_release_csv <- function(content, file) {
  unreadable <- function(e) refuse_release(file, " cannot be read as csv") # R's own text may show a row
  tryCatch(
    {
      text <- rawToChar(content)
      Encoding(text) <- "UTF-8"
      stopifnot(validUTF8(text))
      read.csv(
        text = text, colClasses = "character", na.strings = character(0), check.names = FALSE,
        fill = FALSE, comment.char = "", encoding = "UTF-8"
      )
    },
    error = unreadable, warning = unreadable
  )
}

check_release_columns <- function(table, metadata, file) {
  ids <- lapply(metadata$dimensions, function(dimension) if (is.list(dimension)) dimension$id)
  if (any(vapply(ids, is.null, TRUE))) {
    refuse_release(file, ": each entry of dimensions in release.json needs an id")
  }
  expected <- c(unlist(ids), COLUMNS)
  if (!identical(names(table), expected)) {
    refuse_release(file, ": columns must be ", paste(expected, collapse = ", "))
  }
  listed <- unlist(metadata$table$columns)
  if (!identical(listed, expected) && !identical(as.numeric(length(expected)), suppressWarnings(as.numeric(listed)))) {
    refuse_release(file, ": release.json lists other columns than the table has")
  }
  if (metadata$table$rows != nrow(table)) {
    refuse_release(file, ": release.json counts other rows than the table has")
  }
}

check_release_cells <- function(table, metadata, file) {
  refuse <- function(bad, why) {
    bad <- which(bad)
    if (length(bad) > 0) {
      refuse_release(file, ": row ", bad[1], " ", why, "\nhint: do not use this release; report it")
    }
  }
  keys <- setdiff(names(table), NUMBERS)
  for (key in keys) refuse(table[[key]] == "", paste("has no", key))
  refuse(!table$status %in% STATUSES, "has an unknown status")
  refuse(table$audience != metadata$audience, "has another audience than release.json")
  refuse(table$measure != metadata$measure$id, "has another measure than release.json")
  refuse(duplicated(table[setdiff(keys, c("status", "audience"))]), "repeats an earlier row")

  # First of all, before any number is parsed: a withheld cell that carries anything is a leak.
  withheld <- !table$status %in% WITH_NUMBERS
  for (column in NUMBERS) {
    filled <- table[[column]] != ""
    refuse(withheld & filled, paste(
      "is withheld (suppressed, unreliable or not applicable) and carries a number in", column
    ))
    numbers <- rep(NA_real_, nrow(table))
    numbers[filled] <- suppressWarnings(as.numeric(table[[column]][filled]))
    refuse(filled & !is.finite(numbers), paste("has no readable number in", column))
    table[[column]] <- numbers
  }

  with(table, {
    refuse(!withheld & is.na(numerator), "has no numerator")
    refuse(status == "zero" & numerator != 0, "has status zero and another numerator")
    refuse(
      numerator %% 1 > 0 | denominator %% 1 > 0 | numerator < 0 | numerator > denominator,
      "has a numerator and denominator that cannot be"
    )
    for (column in c("rate", "ci_low", "ci_high")) {
      refuse(table[[column]] < 0 | table[[column]] > 1, paste("has a", column, "outside 0 to 1"))
    }
    refuse(is.na(ci_low) != is.na(ci_high), "has half an interval")
    refuse(ci_low > rate + 1e-9 | ci_high < rate - 1e-9, "has a rate outside its interval")
  })
  table
}
