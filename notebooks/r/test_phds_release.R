# Tries phds_release.R on tiny releases, sound and broken. Run: Rscript test_phds_release.R

source("phds_release.R")

HEADER <- "county,measure,numerator,denominator,rate,ci_low,ci_high,status,audience\n"
SHOWN <- "Travis,m,30,40,0.75,0.6,0.86,shown,internal\n"
ZERO <- "Unknown,m,0,40,0,0,0.09,zero,internal\n"
SUPPRESSED <- "Loving,m,,,,,,suppressed,internal\n"
SOUND <- paste0(HEADER, SHOWN, ZERO, SUPPRESSED)
passed <- 0

# Write a release and return its folder. `changes` are to release.json.
release <- function(folder, table = SOUND, name = "table.csv", beside = "release.json", changes = list()) {
  metadata <- list(
    schema_version = 1, release_id = "r", audience = "internal", marking = "INTERNAL",
    tool = list(name = "phds", version = "0"),
    measure = list(id = "m", title = "M", definition = "d", version = "1", fingerprint = "f"),
    cohort = list(description = "c", as_of = "2026-10-31"),
    denominator = list(source = "s", description = "d"),
    dimensions = list(list(id = "county", title = "County")),
    interval = list(method = "wilson", level = 0.95), delivery = list(sha256 = "0"),
    dictionary = list(fingerprint = "f"), disclosure = list(k = 11, fingerprint = "f"), caveats = list(),
    table = list(
      format = "csv", file = name, sha256 = digest::digest(table, algo = "sha256", serialize = FALSE),
      rows = lengths(regmatches(table, gregexpr("\n", table))) - 1, columns = strsplit(trimws(HEADER), ",")[[1]]
    )
  )
  metadata <- utils::modifyList(metadata, changes) # NULL takes a key out
  cat(table, file = file.path(folder, name))
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

with_row <- function(row) function(folder) release(folder, paste0(HEADER, SHOWN, row, "\n"))

without <- function(name) function(folder) {
  file.remove(file.path(release(folder), name))
  folder
}

changed <- function(...) {
  changes <- list(...)
  function(folder) release(folder, changes = changes)
}

folder <- release(new_folder())
sound <- read_release(folder)
check("reads a folder", nrow(sound$table) == 3 && sound$metadata$measure$id == "m")
check("keeps a suppressed cell missing", all(is.na(sound$table[3, NUMBERS])))
check("keeps a zero a zero", sound$table$numerator[2] == 0 && sound$table$rate[2] == 0)
check("reads a table by its path", identical(read_release(file.path(folder, "table.csv")), sound))

folder <- release(new_folder(), beside = "table.csv.release.json", changes = list(release_id = "own"))
invisible(release(folder, changes = list(release_id = "shared")))
check("takes <file>.release.json first", read_release(file.path(folder, "table.csv"))$metadata$release_id == "own")

refuses("a tampered table", "SHA-256 differs", function(folder) {
  cat(sub("30,40", "31,40", SOUND), file = file.path(release(folder), "table.csv"))
  folder
})
refuses("a suppressed cell with a number", "row 2 is withheld", with_row("Loving,m,77,,,,,suppressed,internal"))
refuses("a suppressed cell with an interval", "ci_low", with_row("Loving,m,,,,0.77,,suppressed,internal"))
refuses("a suppressed cell with zero in it", "numerator", with_row("Loving,m,0,,,,,suppressed,internal"))
refuses("an unreliable cell with a rate", "carries a number in rate", with_row("Loving,m,,,0.77,,,unreliable,internal"))
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
refuses("another schema_version", "schema_version", changed(schema_version = 2))
refuses("release.json without a marking", "nothing under marking", changed(marking = NULL))
refuses("other columns", "columns must be", function(folder) release(folder, sub("county,", "zip,", SOUND)))
refuses("an unknown status", "unknown status", with_row("Loving,m,,,,,,hidden,internal"))
refuses("a row for another audience", "another audience", with_row("Loving,m,,,,,,suppressed,public"))
refuses("a rate in percent", "outside 0 to 1", with_row("Hays,m,30,40,77,60,86,shown,internal"))
refuses("a number that is text", "no readable number", with_row("Hays,m,x77,40,0.75,0.6,0.86,shown,internal"))
refuses("a shown cell without a number", "no numerator", with_row("Hays,m,,,,,,shown,internal"))
refuses("a row told twice", "repeats", with_row(trimws(SHOWN)))
refuses("a row that is cut short", "cannot be read as csv", with_row("Hays,m,30"))

Sys.setenv(PHDS_RELEASES = "/nowhere")
said <- tryCatch(releases_folder(), error = conditionMessage)
check("names the command when there are no releases", grepl(MAKE_DEMO, said, fixed = TRUE))
cat(passed, "checks passed\n")
