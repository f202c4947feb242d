# Figures of releases that carry what must travel with them, and the facts of a release as a table.
#
# Each figure has its marking, measure, denominator, as-of date, source and caveats, so that it can be
# pasted elsewhere without losing them. What is withheld is hatched, because nothing is said about where
# the value lies. It is never drawn as zero. Marks differ in shape or hatch, not in colour alone.
#
#   counties <- rates_by_row(read_release("demo/releases/by_county"), "county")
#   counties$plot  # drawn at counties$width x counties$height inches; counties$alt is its text

library(ggplot2)

BLUE <- "#0072B2"
ORANGE <- "#D55E00"
GREEN <- "#009E73"
GREY <- "#8C8C8C"
PALE <- "#F2F2F2"
INK <- "#222222"
CLASSES <- c("#d0e1f2", "#9ecae1", "#62a8d3", "#2474b7", "#08427e") # light to dark: they differ in print without colour, too
MEANINGS <- c(
  shown = "rate and its interval",
  zero = "zero (counted, not suppressed)",
  unreliable = "unreliable (fewer than 30 clients, or a wide interval)",
  suppressed = "suppressed (withheld to protect small groups; not zero)",
  not_applicable = "not applicable (nobody in the denominator)"
)
SHAPES <- c(shown = 19, zero = 23, unreliable = 21, suppressed = 0, not_applicable = 2)

# --- What the numbers are ------------------------------------------------------------------------

# The text that must travel with the numbers, as a named list.
facts <- function(release) {
  m <- release$metadata
  named <- function(notes, first) vapply(notes, function(note) paste0(note[[first]], ": ", note$description), "")
  all <- list(
    "Indicator" = paste0(m$indicator, ": ", m$indicator_definition),
    "Measure" = if (!is.null(m$measure)) sprintf("%s (%s, version %s)", m$measure$title, m$measure$id, m$measure$version),
    "What counts" = m$measure$definition,
    "Source of the definition" = m$measure$source,
    "From" = m$from_measure$title,
    "Cohort" = paste0(m$cohort$description, "; as of ", m$cohort$as_of),
    "Denominator" = named(m$denominators, "source"),
    "Organizations" = named(m$attributions, "rule"),
    "Only" = vapply(m$where, function(w) paste0(w$dimension, ": ", paste(unlist(w$values), collapse = ", ")), ""),
    "Interval" = interval(m),
    "Reporting period" = m$reporting_period,
    "Rows" = paste(sapply(names(statuses(release)), function(status) paste(statuses(release)[[status]], word(status))), collapse = ", "),
    "Suppression" = sprintf("k = %s, audience %s", m$disclosure$k, m$audience),
    "Caveats" = unlist(m$caveats),
    "Release" = sprintf("%s, by %s %s", m$release_id, m$tool$name, m$tool$version),
    "Fingerprint: measure" = m$measure$fingerprint,
    "Fingerprint: dictionary" = m$dictionary$fingerprint,
    "Fingerprint: rules" = m$rules$fingerprint,
    "Fingerprint: disclosure" = m$disclosure$fingerprint,
    "SHA-256: delivery" = m$delivery$sha256,
    "SHA-256: table" = m$table$sha256
  )
  Filter(function(text) length(text) > 0 && !identical(text, ""), all)
}

# Rows by status, the most first; those that there are.
statuses <- function(release) sort(table(release$table$status), decreasing = TRUE)

# Level and method of the intervals, such as "95 % (Wilson's score)".
interval <- function(m) {
  if (!is.null(m$interval)) sprintf("%g %% (%s)", 100 * m$interval$level, m$interval$method)
}

# Show the facts of a release; beside another release, only those that differ, and caveats that are new.
describe <- function(release, unlike = NULL) {
  escape <- function(text) paste(htmltools::htmlEscape(text), collapse = "<br>")
  texts <- facts(release)
  known <- if (is.null(unlike)) list() else facts(unlike)
  texts <- texts[!mapply(function(label, text) identical(text, known[[label]]), names(texts), texts)]
  if (!is.null(unlike)) {
    texts$Caveats <- setdiff(texts$Caveats, known$Caveats)
    texts <- texts[lengths(texts) > 0]
    names(texts)[names(texts) == "Caveats"] <- "Further caveats"
  }
  rows <- sprintf(
    "<tr><th style='vertical-align:top;white-space:nowrap;padding-right:1em'>%s</th><td style='overflow-wrap:anywhere'>%s</td></tr>",
    names(texts), vapply(texts, escape, "")
  )
  knitr::raw_html(paste0(
    "<p style='border:2px solid;padding:.4em;font-weight:bold'>", escape(release$metadata$marking), "</p>",
    "<table>", paste(rows, collapse = ""), "</table>"
  ))
}

# The name of a status or a dimension in a sentence.
word <- function(status) gsub("_", " ", status)

# Whole numbers as people read them: 1036 is "1,036".
thousands <- function(x) format(x, big.mark = ",", trim = TRUE, scientific = FALSE)

# A share as people read it: 0.685 is "68.5 %".
share_text <- function(share) sprintf("%.1f %%", 100 * share)

# Numerator and denominator, or why there are none.
counts <- function(table, between = " / ") {
  ifelse(table$status %in% WITH_NUMBERS, paste0(thousands(table$numerator), between, thousands(table$denominator)), word(table$status))
}

# The title of the measure, and of the dimension `by`.
title_of <- function(release, by = NULL) {
  m <- release$metadata
  titles <- vapply(Filter(function(d) identical(d$id, by), m$dimensions), function(d) tolower(d$title), "")
  paste0(m$measure$title, if (!is.null(by)) paste0(", by ", if (length(titles)) titles else word(by)))
}

# The table to draw. Refuses one in which somebody has given a withheld row a number.
rows_of <- function(release) {
  numbers <- vapply(release$metadata$numbers, function(number) number$name, "")
  if (any(!is.na(release$table[!release$table$status %in% WITH_NUMBERS, numbers]))) {
    refuse_release("a withheld row has got a number on the way\nhint: leave it missing; it is drawn as what it is")
  }
  release$table
}

# --- The frame of a figure -----------------------------------------------------------------------

# A plot with what it must carry (marking, measure, denominator, as-of date), its inches, and its text for those who do
# not see it. `panel`: inches of the plot itself; `key_rows`: rows of its key.
figure <- function(plot, release, heading, note, alt, panel, key_rows, width = 9) {
  m <- release$metadata
  fold <- function(text, per_inch) paste(strwrap(text, per_inch * width), collapse = "\n")
  sources <- vapply(m$denominators, function(d) d$source, "")
  denominator <- if (m$indicator == "curve") {
    "clients of the cohort, as far as they were followed"
  } else if (length(sources) == 1) {
    paste0(sources, ": ", m$denominators[[1]]$description)
  } else if (length(sources)) {
    paste(sources, collapse = ", ")
  } else {
    "none"
  }
  measure <- if (is.null(m$measure)) {
    paste("Measure: none.", m$indicator_definition)
  } else {
    sprintf(
      "Measure: %s, version %s, fingerprint %s.%s", m$measure$id, m$measure$version, substr(m$measure$fingerprint, 1, 12),
      if (is.null(m$measure$source)) "" else paste0(" Source: ", m$measure$source, ".")
    )
  }
  texts <- list(
    marking = fold(m$marking, 10.5),
    title = fold(heading, 8.3),
    subtitle = fold(paste0("As of ", m$cohort$as_of, ". ", m$cohort$description, ". ", trimws(note)), 12.8),
    caption = paste(
      fold(measure, 15), fold(paste0("Denominator: ", denominator, "."), 15),
      fold(sprintf("Suppression: k = %s. Release: %s, %s %s.", m$disclosure$k, m$release_id, m$tool$name, m$tool$version), 15),
      fold(paste(unlist(m$caveats), collapse = " \u00b7 "), 16.5),
      sep = "\n"
    )
  )
  lines <- vapply(texts, function(text) 1 + lengths(regmatches(text, gregexpr("\n", text))), 1)
  suppressed <- sprintf("%d of %d rows are suppressed.", sum(release$table$status == "suppressed"), nrow(release$table))
  list(
    plot = plot +
      labs(tag = texts$marking, title = texts$title, subtitle = texts$subtitle, caption = texts$caption) +
      theme(plot.title = element_text(margin = margin(t = 8 + 14 * lines[["marking"]], b = 6))),
    width = width,
    height = panel + 1.05 + 0.18 * lines[["marking"]] + 0.24 * lines[["title"]] + 0.18 * lines[["subtitle"]] +
      0.14 * lines[["caption"]] + 0.22 * key_rows,
    alt = paste(alt, suppressed)
  )
}

# The look of all figures.
look <- function() {
  theme_minimal(base_size = 11) +
    theme(
      text = element_text(colour = INK), axis.text = element_text(colour = INK),
      axis.line.x = element_line(colour = INK, linewidth = 0.4), axis.title = element_text(size = 10),
      plot.tag = element_text(face = "bold", size = 11, hjust = 0, vjust = 1, lineheight = 1.1), plot.tag.position = c(0, 0.995),
      plot.title = element_text(face = "bold", size = 14), plot.title.position = "plot",
      plot.subtitle = element_text(size = 10, lineheight = 1.1),
      plot.caption = element_text(hjust = 0, lineheight = 1.2, size = 8, margin = margin(t = 14)), plot.caption.position = "plot",
      legend.position = "top", legend.justification = "left", legend.key.width = grid::unit(2.2, "lines"),
      legend.key.height = grid::unit(1.1, "lines"), legend.margin = margin(0, 0, 4, 0), legend.text = element_text(size = 10),
      panel.grid.minor = element_blank(), plot.margin = margin(6, 6, 6, 6)
    )
}

# A figure by one dimension has one row for each of its values.
one_row_each <- function(table, by) {
  if (any(duplicated(table[[by]]))) {
    refuse_release("this figure has one row for each ", by, "; the table has several\nhint: choose one value of each other column first")
  }
  table
}

# An axis of percent, a tick at each `step`.
percent <- function(name, step, to = 100, ...) {
  scale_y_continuous(
    name, limits = c(0, to), breaks = seq(0, 100, step), labels = function(p) paste(p, "%"), expand = c(0, 0),
    oob = function(x, ...) x, ...
  )
}

# Hatched bands over all that may be, for what is withheld. `inch` is the length of one place (negative when places run
# downwards) and of one unit of the value, so that slashes lean alike in all figures; `half` is half a band in places.
bands <- function(table, inch, half, top = 100, gap = 0.08) {
  hidden <- table[!table$status %in% WITH_NUMBERS, ]
  lean <- 2 * half * abs(inch[["place"]]) / inch[["value"]]
  up <- sign(inch[["place"]])
  each <- expand.grid(at = hidden$place[hidden$status == "suppressed"], start = seq(-lean, top, gap / inch[["value"]]))
  from <- pmax(each$start, 0)
  to <- pmin(each$start + lean, top)
  across <- function(value) each$at + up * half * (2 * (value - each$start) / lean - 1)
  slashes <- data.frame(from, to, place = across(from), end = across(to))
  list(
    geom_rect(
      aes(xmin = place - half, xmax = place + half, ymin = 0, ymax = top), hidden, inherit.aes = FALSE, fill = PALE, colour = GREY,
      linewidth = 0.3
    ),
    geom_segment(aes(place, from, xend = end, yend = to), slashes, inherit.aes = FALSE, colour = GREY, linewidth = 0.25)
  )
}

# A table with its rates in percent.
in_percent <- function(table) {
  table[c("rate", "ci_low", "ci_high")] <- 100 * table[c("rate", "ci_low", "ci_high")]
  table
}

# A figure that says that no row has numbers; NULL when one has.
all_withheld <- function(release, heading) {
  if (any(rows_of(release)$status %in% WITH_NUMBERS)) {
    return(NULL)
  }
  plot <- ggplot(mapping = aes(place, 0)) +
    bands(data.frame(place = 1, status = "suppressed"), c(place = 1, value = 0.08), 0.3) +
    coord_flip() +
    look() +
    theme(axis.text = element_blank(), axis.title = element_blank(), panel.grid = element_blank())
  note <- sprintf("All %d rows are withheld. Hatched: %s.", nrow(release$table), MEANINGS[["suppressed"]])
  figure(plot, release, heading, note, paste0(heading, "."), 1, 0)
}

# --- Rates, one for each place -------------------------------------------------------------------

# The key of a status: a dot on a line, dotted when it is unreliable, or a hatched box.
draw_key_status <- function(data, params, size) {
  line <- function(type) grid::segmentsGrob(0, 0.5, 1, 0.5, gp = grid::gpar(col = BLUE, lwd = 2.5, lty = type))
  point <- function(shape) {
    grid::pointsGrob(0.5, 0.5, pch = shape, size = grid::unit(7, "pt"), gp = grid::gpar(col = BLUE, fill = "white", lwd = 1.5))
  }
  box <- grid::rectGrob(height = 0.6, gp = grid::gpar(fill = PALE, col = GREY, lwd = 0.8))
  at <- seq(0.05, 0.85, 0.16)
  switch(names(SHAPES)[match(data$shape, SHAPES)],
    shown = grid::grobTree(line(1), point(19)),
    zero = grid::grobTree(line(1), point(23)),
    unreliable = grid::grobTree(line(3), point(21)),
    suppressed = grid::grobTree(box, grid::segmentsGrob(at, 0.2, at + 0.12, 0.8, gp = grid::gpar(col = GREY, lwd = 0.8))),
    box
  )
}

# One mark a row at `place`, rates upwards to `top`; a figure by row turns it on its side.
rates_plot <- function(table, release, inch, half = 0.31, top = 100) {
  labels <- MEANINGS
  labels["shown"] <- paste0(labels["shown"], ", ", interval(release$metadata))
  present <- intersect(names(MEANINGS), table$status)
  dotted <- ifelse(table$status == "unreliable", "11", "solid")
  ggplot(in_percent(table), aes(place, rate)) +
    bands(table, inch, half, top) +
    geom_linerange(aes(ymin = ci_low, ymax = ci_high), colour = BLUE, linetype = dotted, linewidth = 0.8, na.rm = TRUE) +
    geom_point(
      aes(shape = status), colour = BLUE, fill = "white", size = 2.2, stroke = 0.9, na.rm = TRUE, show.legend = TRUE,
      key_glyph = draw_key_status
    ) +
    scale_shape_manual(NULL, values = SHAPES, limits = present, labels = labels[present], guide = guide_legend(ncol = 1)) +
    look()
}

# Rates with intervals, a row for each place or group; `order` is "rate" or "name". At most `most` rows, the largest.
rates_by_row <- function(release, by, heading = title_of(release, by), note = "", most = 40, order = "rate") {
  none <- all_withheld(release, heading)
  if (!is.null(none)) {
    return(none)
  }
  all <- table <- one_row_each(release$table, by)
  if (nrow(all) > most) {
    told <- all[!is.na(all$denominator), ]
    table <- utils::head(told[order(-told$denominator), ], most)
    withheld <- table(all$status[!all$status %in% WITH_NUMBERS])
    note <- sprintf(
      "%s Drawn: the %d with the largest denominators, of %d rows. Not drawn because withheld: %s.", note, nrow(table), nrow(all),
      if (length(withheld)) paste(withheld, word(names(withheld)), collapse = ", ") else "none"
    )
  }
  first <- if (order == "rate") -table$rate else rep(0, nrow(table))
  table <- table[order(table[[by]] == "Unknown", first, table[[by]], na.last = TRUE), ] # Unknown last
  table$place <- seq_len(nrow(table))
  plot <- rates_plot(table, release, c(place = -0.235, value = 0.06)) +
    annotate("text", 0, 102.5, label = "rate         numerator / denominator", hjust = 0, size = 2.8, fontface = "bold", colour = INK) +
    scale_x_reverse(
      NULL, breaks = table$place, labels = table[[by]], expand = expansion(add = c(0.6, 0.2)),
      sec.axis = dup_axis(
        name = NULL,
        labels = paste0(ifelse(table$status %in% WITH_NUMBERS, paste0(share_text(table$rate), "    "), ""), counts(table))
      )
    ) +
    percent("Rate (numerator / denominator)", 10) +
    coord_flip(clip = "off") +
    theme(
      panel.grid.major.y = element_blank(), axis.text.y.left = element_text(margin = margin(r = 8)),
      axis.text.y.right = element_text(hjust = 0, margin = margin(l = 10)), plot.margin = margin(6, 90, 6, 6)
    )
  figure(plot, release, heading, note, paste0(heading, ", with intervals."), 0.235 * max(4, nrow(table) + 1), length(unique(table$status)))
}

# Rates with intervals, along years or quarters. Unjoined: each is another cohort, and a suppressed one has no place on a line.
rates_over_time <- function(release, by, heading = title_of(release, by), note = "") {
  table <- one_row_each(rows_of(release), by)
  table <- table[order(table[[by]]), ] # "Unknown" sorts after digits
  table$place <- seq_len(nrow(table))
  places <- max(nrow(table), 5) # room for five at least: one band is not a wall
  width <- min(max(9, 0.68 * nrow(table) + 1), 16)
  plot <- rates_plot(table, release, c(place = (width - 1) / places, value = 0.036)) +
    scale_x_continuous(
      NULL, breaks = table$place, expand = expansion(add = 0.5),
      labels = paste0(sub("-", "\n", table[[by]]), "\n", counts(table, between = " /\n"))
    ) +
    geom_text(aes(label = round(rate)), hjust = -0.45, size = 2.8, colour = INK, na.rm = TRUE) +
    percent("Rate", 20) +
    coord_cartesian(xlim = c(1, places), clip = "off") +
    theme(panel.grid.major.x = element_blank(), axis.text.x = element_text(size = 8))
  figure(plot, release, heading, note, paste0(heading, ", with intervals."), 4.4, length(unique(table$status)), width)
}

# Several rates beside one another in each row: `place` says where, `series` (a factor) whose. The key tells the series, and
# a sentence the rest.
rates_beside <- function(table, inch, half) {
  series <- seq_along(levels(table$series))
  hollow <- table$status %in% c("unreliable", "zero")
  dotted <- ifelse(table$status == "unreliable", "11", "solid")
  colours <- c(BLUE, ORANGE, GREEN, INK, GREY)
  ggplot(in_percent(table), aes(place, rate, colour = series)) +
    bands(table, inch, half) +
    geom_linerange(aes(ymin = ci_low, ymax = ci_high), linetype = dotted, linewidth = 0.8, na.rm = TRUE, show.legend = FALSE) +
    geom_point(
      aes(shape = series), fill = ifelse(hollow, "white", colours[table$series]), size = 2.2, stroke = 0.9, na.rm = TRUE, show.legend = TRUE
    ) +
    scale_colour_manual(NULL, values = colours[series], drop = FALSE, guide = guide_legend(ncol = 1, override.aes = list(fill = colours[series]))) +
    scale_shape_manual(NULL, values = c(21, 22, 24, 23, 25)[series], drop = FALSE) +
    look() +
    theme(panel.grid.major.y = element_blank())
}
BESIDE_KEY <- "Hatched: suppressed (withheld to protect small groups; not zero). Hollow: zero, or with dots unreliable."

# --- A map ---------------------------------------------------------------------------------------

# The borders of places, a row for each point: label, ring, x and y in degrees. `dictionaries/phds/shapes/README.md` has
# the form of the file.
read_shapes <- function(file) {
  lines <- readLines(file, encoding = "UTF-8")[-1]
  rings <- strsplit(sub("^[^,]*,", "", lines), ";", fixed = TRUE)
  steps <- strsplit(unlist(rings), " ", fixed = TRUE)
  along <- function(first) lapply(steps, function(step) cumsum(as.numeric(step[seq(first, length(step), 2)])) / 1000)
  x <- along(1)
  data.frame(
    label = rep(rep(sub(",.*", "", lines), lengths(rings)), lengths(x)), ring = rep(seq_along(x), lengths(x)), x = unlist(x),
    y = unlist(along(2))
  )
}

# Bounds in percent of at most five classes of one width, of 1, 2, 5, 10 or 20 percent, around all rates.
classes_of <- function(rates) {
  for (step in c(1, 2, 5, 10, 20)) {
    low <- floor(100 * min(rates) / step) * step
    high <- max(ceiling(100 * max(rates) / step) * step, low + step)
    if ((high - low) / step <= length(CLASSES)) break
  }
  seq(low, high, step)
}

# Slanted lines within a shape, `gap` apart: where a line crosses its borders, it begins and ends by turns.
hatches <- function(shape, gap, scale) {
  edges <- do.call(rbind, lapply(split(shape, shape$ring), function(ring) {
    following <- c(seq_len(nrow(ring))[-1], 1)
    data.frame(x = ring$x, y = ring$y, to_x = ring$x[following], to_y = ring$y[following])
  }))
  u <- cbind(edges$y * scale - edges$x, edges$to_y * scale - edges$to_x) / gap
  crossed <- lapply(seq_len(nrow(edges)), function(at) {
    lines <- seq_len(max(0, ceiling(max(u[at, ])) - ceiling(min(u[at, ])))) - 1 + ceiling(min(u[at, ]))
    share <- (lines - u[at, 1]) / (u[at, 2] - u[at, 1])
    data.frame(
      line = lines, x = edges$x[at] + share * (edges$to_x[at] - edges$x[at]), y = edges$y[at] + share * (edges$to_y[at] - edges$y[at])
    )
  })
  points <- do.call(rbind, crossed)
  points <- points[order(points$line, points$x), ]
  from <- seq_len(nrow(points)) %% 2 == 1
  data.frame(x = points$x[from], y = points$y[from], to_x = points$x[!from], to_y = points$y[!from])
}

# The centre of area of a ring (by the shoelace formula), and the width and height of its box; in degrees.
middle_of <- function(ring) {
  x <- ring$x - ring$x[1]
  y <- ring$y - ring$y[1]
  following <- c(seq_along(x)[-1], 1)
  cross <- x * y[following] - x[following] * y
  data.frame(
    label = ring$label[1], x = ring$x[1] + sum((x + x[following]) * cross) / (3 * sum(cross)),
    y = ring$y[1] + sum((y + y[following]) * cross) / (3 * sum(cross)), wide = diff(range(x)), high = diff(range(y))
  )
}

# A map of rates in at most five classes; suppressed places are hatched. `shapes`: a file like those of
# `dictionaries/phds/shapes`, which has county and region.
rates_on_map <- function(release, by = "county", heading = title_of(release, by), note = "", shapes = NULL) {
  none <- all_withheld(release, heading)
  if (!is.null(none)) {
    return(none)
  }
  file <- if (is.null(shapes)) find_above(file.path("dictionaries", "phds", "shapes", paste0(by, ".csv"))) else shapes
  if (!file.exists(file)) {
    hint <- "name a file of labels and rings with `shapes`, such as dictionaries/phds/shapes/county.csv of a checkout of phds"
    refuse_release("no shapes for ", by, "\nhint: ", hint)
  }
  places <- read_shapes(file)
  table <- one_row_each(rows_of(release), by)
  asked <- places[places$label %in% table[[by]], ]
  scale <- 1 / cos(mean(range(asked$y)) * pi / 180) # a degree of latitude in those of longitude
  margin <- 0.03 * max(diff(range(asked$x)), diff(range(asked$y)), 2)
  west <- range(asked$x) + c(-margin, margin)
  south <- range(asked$y) + c(-margin, margin)
  height <- min(8.6 * diff(south) * scale / diff(west), 7.2)
  inch <- height / diff(south) # of a degree of latitude
  west <- mean(west) + c(-0.5, 0.5) * 8.6 * scale / inch # the map is as wide as its texts

  bounds <- classes_of(table$rate[!is.na(table$rate)])
  digits <- if (bounds[2] - bounds[1] >= 5) 0 else 1 # as many as tell the classes apart
  steps <- round((seq_along(bounds)[-1] - 2) * (length(CLASSES) - 1) / max(length(bounds) - 2, 1)) + 1
  words <- sprintf("%d to %d %%", bounds[-length(bounds)], bounds[-1])
  row <- table[match(places$label, table[[by]]), ]
  places$status <- ifelse(is.na(row$status), "absent", row$status)
  places$class <- factor(words[findInterval(100 * row$rate, bounds, rightmost.closed = TRUE)], words)
  hidden <- places[places$status == "suppressed", ]
  slashes <- do.call(rbind, lapply(split(hidden, hidden$label), hatches, gap = 0.075 / inch * scale, scale = scale))

  largest <- by(places, places$label, function(place) middle_of(place[place$ring == names(which.max(table(place$ring))), ]))
  texts <- do.call(rbind, largest)
  texts <- merge(texts[texts$wide * inch / scale > 0.27 + 0.07 * digits & texts$high * inch > 0.14, ], table[!is.na(table$rate), ], by.x = "label", by.y = by)
  dark <- findInterval(100 * texts$rate, bounds, rightmost.closed = TRUE)
  named <- nrow(table) <= 60 & texts$wide * inch / scale > 0.09 * nchar(texts$label) & texts$high * inch > 0.3
  texts$text <- paste0(ifelse(named, paste0(texts$label, "\n"), ""), sprintf("%.*f", digits, 100 * texts$rate))

  polygons <- function(status, ...) {
    geom_polygon(aes(x, y, group = ring), places[places$status %in% status, ], inherit.aes = FALSE, linewidth = 0.2, colour = GREY, ...)
  }
  told <- places[places$status %in% WITH_NUMBERS, ]
  unsure <- places[places$status == "unreliable", ]
  plot <- ggplot() +
    polygons(c("absent", "not_applicable"), fill = "white") +
    polygons("suppressed", fill = PALE) +
    (if (length(slashes)) geom_segment(aes(x, y, xend = to_x, yend = to_y), slashes, colour = GREY, linewidth = 0.25)) +
    geom_polygon(aes(x, y, group = ring, fill = class), told, colour = "white", linewidth = 0.35) +
    geom_polygon(aes(x, y, group = ring), unsure, fill = NA, colour = INK, linetype = "11", linewidth = 0.5) +
    geom_text(aes(x, y, label = text), texts, size = 2.5, lineheight = 0.95, colour = ifelse(steps[dark] >= 4, "white", INK)) +
    scale_fill_manual(NULL, values = CLASSES[steps], labels = words, drop = FALSE) +
    coord_fixed(scale, xlim = west, ylim = south, expand = FALSE) +
    look() +
    theme(axis.text = element_blank(), axis.title = element_blank(), axis.line.x = element_blank(), panel.grid = element_blank())
  unmapped <- setdiff(table[[by]], places$label)
  note <- paste0(
    note, " Numbers on the map are percent. Hatched: suppressed, not zero.",
    if (nrow(unsure)) " Dotted border: unreliable.", if (any(places$status %in% c("absent", "not_applicable"))) " White: not in the table, or nobody in the denominator.",
    if (length(unmapped)) sprintf(" Not on the map: %s.", paste(unmapped, collapse = ", "))
  )
  figure(plot, release, heading, note, sprintf("Map: %s.", heading), height, 1)
}

# --- Figures of one kind of release ---------------------------------------------------------------

# Rates by size between the limits of the release, within which they would lie by chance alone.
funnel <- function(release, by = "organization", heading = title_of(release, by)) {
  m <- release$metadata
  none <- all_withheld(release, heading)
  if (!is.null(none)) {
    return(none)
  }
  table <- release$table[!is.na(release$table$rate), ]
  widest <- table[which.max(table$denominator), ]
  # The figure begins where something is: a dot has no length that a cut axis would falsify.
  low <- max(0, 10 * floor(10 * min(table$rate, table$limit_998_low[table$status == "shown"])) - 10)
  limits <- do.call(rbind, lapply(RISING, function(name) {
    data.frame(
      denominator = table$denominator, limit = ifelse(100 * table[[name]] < low, NA, 100 * table[[name]]), side = name,
      line = if (grepl("998", name)) "99.8 % limits" else "95 % limits"
    )
  }))
  table$mark <- ifelse(table$status == "unreliable", "unreliable", "rate")
  outside <- table[table$rate < table$limit_998_low | table$rate > table$limit_998_high, ]
  note <- sprintf(
    "%d of %d rows are suppressed and have no place in the figure. The share of the %d shown ones together: %s.%s",
    sum(release$table$status == "suppressed"), nrow(release$table), m$funnel$organizations, share_text(m$funnel$target),
    if (m$funnel$factor_applied > 1) sprintf(" They differ more than by chance (%.2f times); the limits are widened for it.", m$funnel$overdispersion) else ""
  )
  plot <- ggplot(table, aes(denominator, 100 * rate)) +
    geom_line(aes(y = limit, linetype = line, group = side), limits, colour = GREY, na.rm = TRUE) +
    geom_hline(yintercept = 100 * m$funnel$target, colour = INK) +
    geom_point(aes(shape = mark), colour = BLUE, fill = "white", size = 2.2, stroke = 0.9) +
    geom_text(aes(label = .data[[by]]), outside, hjust = -0.15, size = 2.8, colour = INK) +
    scale_shape_manual(NULL, values = c(rate = 19, unreliable = 21)) +
    scale_linetype_manual(NULL, values = c("95 % limits" = "solid", "99.8 % limits" = "dashed"), guide = "none") +
    annotate(
      "text", max(table$denominator), 100 * c(m$funnel$target, min(widest$limit_95_low), min(widest$limit_998_low) - 0.012),
      label = c(paste("all shown:", share_text(m$funnel$target)), "95 % limits", "99.8 % limits"), hjust = -0.08, vjust = c(-0.4, 0.5, 0.5),
      size = 2.8, colour = INK
    ) +
    scale_x_log10(
      "Denominator (clients), on a logarithmic scale", limits = range(c(10, 20, table$denominator)),
      breaks = c(10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000), labels = thousands
    ) +
    percent("Rate", 10) +
    coord_cartesian(ylim = c(low, 100), clip = "off") +
    look() +
    theme(plot.margin = margin(6, 76, 6, 6))
  figure(plot, release, heading, note, sprintf("Funnel: %s, with limits.", heading), 4, 1)
}

# The share up to date by age, a curve for each value of `by`.
curves <- function(release, by) {
  heading <- paste0(title_of(release), ": up to date by age")
  none <- all_withheld(release, heading)
  if (!is.null(none)) {
    return(none)
  }
  table <- release$table[!is.na(release$table$rate), ]
  withheld <- setdiff(release$table[[by]], table[[by]])
  note <- paste(
    "Shaded: 95 % interval of each curve. Where a curve ends, what follows is not told.",
    "Where months are told together, it rises somewhere between two dots, and no line is drawn.",
    if (length(withheld)) paste0("Suppressed: ", paste(withheld, collapse = ", "), ".")
  )
  # A new part begins where months of age are told together and the curve rises by more than a point meanwhile.
  table <- do.call(rbind, lapply(split(table, table[[by]]), function(curve) {
    apart <- diff(curve$age_months) > 1 & diff(curve$rate) > 0.01
    curve$part <- paste(curve[[by]], cumsum(c(FALSE, apart)))
    curve
  }))
  # A step lasts until the next age, and so does its interval.
  shade <- do.call(rbind, lapply(split(table, table$part), function(curve) {
    curve$until <- c(curve$age_months[-1], curve$age_months[nrow(curve)])
    curve[!is.na(curve$ci_low), ]
  }))
  groups <- length(unique(table[[by]]))
  plot <- ggplot(table, aes(age_months, 100 * rate, colour = .data[[by]], linetype = .data[[by]], group = part)) +
    geom_rect(
      aes(xmin = age_months, xmax = until, ymin = 100 * ci_low, ymax = 100 * ci_high, fill = .data[[by]]), shade, inherit.aes = FALSE,
      alpha = 0.12, show.legend = FALSE
    ) +
    geom_step(linewidth = 0.7) +
    geom_point(size = 0.9, show.legend = FALSE) +
    scale_colour_viridis_d(NULL, end = 0.9, aesthetics = c("colour", "fill")) +
    scale_linetype_manual(NULL, values = rep(c("solid", "dashed", "dotdash", "dotted"), length.out = groups)) +
    scale_x_continuous("Age in months", breaks = seq(0, 240, 3), limits = c(0, NA), expand = expansion(mult = c(0, 0.02))) +
    percent("Up to date", 20) +
    look()
  figure(plot, release, heading, note, paste0("Share up to date by age, one curve for each ", word(by), "."), 4, 1)
}

# Which parts are missing together, among the rows whose `dimension` is `value`; the largest sets first.
missing_parts <- function(release, dimension, value, most = 14) {
  table <- release$table[release$table[[dimension]] == value, ]
  complete <- table[table$missing == "none" & table$status %in% WITH_NUMBERS, ]
  sets <- table[table$missing != "none", ]
  drawn <- head(sets, most) # in a release the largest come first
  drawn$place <- seq_len(nrow(drawn))
  parts <- strsplit(drawn$missing, " + ", fixed = TRUE)
  every <- unique(unlist(parts[order(-lengths(parts))]))
  every <- setdiff(every, "other sets")
  values <- drawn$status %in% WITH_NUMBERS
  top <- 1.25 * max(8, 100 * drawn$ci_high[values])
  column <- function(part) -top * (0.06 + 0.105 * (length(every) - match(part, every)))
  grid <- expand.grid(part = every, place = drawn$place[drawn$missing != "other sets"], stringsAsFactors = FALSE)
  grid$filled <- vapply(seq_len(nrow(grid)), function(at) grid$part[at] %in% parts[[grid$place[at]]], TRUE)
  texts <- rbind(
    data.frame(
      place = rep(0.1, length(every)), at = column(every), text = sub(".*\\.", "", every), angle = rep(45, length(every)),
      hjust = rep(0, length(every))
    ),
    data.frame(place = drawn$place, at = -0.06 * top, text = "other sets, each of few clients", angle = 0, hjust = 1)[drawn$missing == "other sets", ]
  )
  note <- sprintf(
    "Only %s %s.%s%s", word(dimension), value,
    if (nrow(complete)) sprintf(" In time for all parts: %s (%s).", share_text(complete$rate), counts(complete)) else "",
    if (nrow(sets) > most) sprintf(" Drawn: the first %d of %d sets of missing parts.", most, nrow(sets)) else ""
  )
  plot <- rates_plot(drawn, release, c(place = -0.26, value = 3.9 / top), top = top) +
    geom_point(aes(place, column(part)), grid[!grid$filled, ], inherit.aes = FALSE, shape = 21, size = 1.4, colour = "#CCCCCC", fill = "white") +
    geom_point(aes(place, column(part)), grid[grid$filled, ], inherit.aes = FALSE, shape = 15, size = 2.8, colour = INK) +
    geom_text(aes(place, at, label = text), texts, inherit.aes = FALSE, angle = texts$angle, hjust = texts$hjust, size = 2.9, colour = INK) +
    scale_x_reverse(
      NULL, breaks = drawn$place, labels = NULL, expand = expansion(add = c(0.6, 2.6)),
      sec.axis = dup_axis(name = NULL, labels = counts(drawn))
    ) +
    scale_y_continuous(
      "Share of the cohort that lacks exactly the filled parts", breaks = seq(0, 100, 5), labels = function(p) paste(p, "%"),
      expand = c(0, 0)
    ) +
    coord_flip(ylim = c(-top * (0.06 + 0.105 * max(5, length(every))), top), clip = "off") +
    theme(
      panel.grid.major.y = element_blank(), axis.text.y.right = element_text(hjust = 0, margin = margin(l = 10)),
      axis.line.x = element_blank(), axis.title.x = element_text(hjust = 0.85)
    )
  figure(
    plot, release, paste0(title_of(release), ": what is missing"), note,
    sprintf("Sets of missing parts among clients of %s %s, the largest first.", word(dimension), value), 0.26 * (nrow(drawn) + 3),
    length(unique(drawn$status))
  )
}

# The ranks of organizations by several rules of whose client is whose, each organization a line.
ranks_by_rule <- function(release) {
  m <- release$metadata
  heading <- sprintf("%s: rank of organizations by %d rules", m$measure$title, length(m$attributions))
  none <- all_withheld(release, heading)
  if (!is.null(none)) {
    return(none)
  }
  rules <- vapply(m$attributions, function(rule) rule$rule, "")
  told <- release$table[!is.na(release$table$rank), ]
  drawn <- told[told$organization %in% names(which(table(told$organization) >= 2)), ]
  drawn$at <- match(drawn$attribution, rules)
  drawn <- drawn[order(drawn$organization, drawn$at), ]
  moved <- ave(drawn$rank, drawn$organization, FUN = function(rank) max(rank) - min(rank))
  drawn$far <- ifelse(moved >= 10, "moved by ten ranks or more", "moved less")
  next_row <- c(seq_len(nrow(drawn))[-1], NA)
  joined <- which(drawn$organization == drawn$organization[next_row] & drawn$at + 1 == drawn$at[next_row])
  lines <- data.frame(drawn[joined, ], to = drawn$rank[joined + 1])
  shown <- vapply(rules, function(rule) sum(told$attribution == rule), 1L)
  note <- sprintf(
    "Drawn: the %d organizations with a rank under two rules or more, of %d. A line is broken where a rule's row is suppressed. Hollow: unreliable.",
    length(unique(drawn$organization)), length(unique(release$table$organization))
  )
  plot <- ggplot(drawn, aes(at, rank, colour = far)) +
    geom_segment(aes(xend = at + 1, yend = to, linewidth = far), lines) +
    geom_point(
      shape = 21, fill = ifelse(drawn$status == "unreliable", "white", ifelse(drawn$far == "moved less", GREY, ORANGE)), size = 2,
      stroke = 0.8
    ) +
    scale_colour_manual(NULL, values = c("moved by ten ranks or more" = ORANGE, "moved less" = GREY)) +
    scale_linewidth_manual(NULL, values = c("moved by ten ranks or more" = 0.9, "moved less" = 0.4)) +
    scale_x_continuous(
      "Rule of attribution", breaks = seq_along(rules), labels = sprintf("%s\n%d shown", rules, shown), limits = c(1, length(rules)),
      expand = expansion(add = 0.3)
    ) +
    scale_y_reverse("Rank (1: the highest rate)", breaks = c(1, seq(5, 10000, 5)), expand = expansion(add = 1)) +
    coord_cartesian(clip = "off") +
    look() +
    theme(panel.grid.major = element_blank())
  figure(plot, release, heading, note, "Ranks of organizations under four rules of attribution.", 5, 1)
}

# Rates with intervals of each group, one for each denominator.
rates_by_denominator <- function(release, by) {
  m <- release$metadata
  sources <- vapply(m$denominators, function(d) d$source, "")
  table <- release$table
  groups <- unique(table[[by]][order(table[[by]] == "Unknown", table[[by]])])
  among <- match(table$denominator_source, sources)
  table$series <- factor(table$denominator_source, sources, vapply(m$denominators, function(d) paste0(d$source, ": ", d$description), ""))
  table$place <- match(table[[by]], groups) + (among - (length(sources) + 1) / 2) * 0.8 / length(sources)
  inches <- 0.245 * length(sources)
  plot <- rates_beside(table, c(place = -inches, value = 0.075), 0.3 / length(sources)) +
    geom_vline(xintercept = seq_along(groups)[-1] - 0.5, colour = "#DDDDDD", linewidth = 0.4) +
    scale_x_reverse(NULL, breaks = seq_along(groups), labels = groups, expand = expansion(add = 0.1)) +
    percent("Rate", 10) +
    coord_flip(clip = "off") +
    theme(plot.margin = margin(6, 20, 6, 6))
  figure(
    plot, release, paste(title_of(release, by), "and denominator"), BESIDE_KEY,
    sprintf("Rates by %s with %d denominators.", word(by), length(sources)), inches * length(groups), length(sources)
  )
}

# Doses and people vaccinated, in each of the last months.
doses_over_time <- function(release, by, last = 36) {
  heading <- "Doses administered, by month"
  none <- all_withheld(release, heading)
  if (!is.null(none)) {
    return(none)
  }
  table <- tail(release$table[order(release$table[[by]]), ], last)
  table$place <- seq_len(nrow(table))
  top <- 1.1 * max(table$doses, na.rm = TRUE)
  long <- rbind(
    data.frame(place = table$place, number = table$doses, what = "doses administered"),
    data.frame(place = table$place, number = table$persons, what = "people vaccinated in the month")
  )
  ticks <- grep("-(01|07)$", table[[by]])
  plot <- ggplot(long, aes(place, number, colour = what, shape = what)) +
    bands(table, c(place = 8 / last, value = 4 / top), 0.45, top) +
    geom_line(na.rm = TRUE) +
    geom_point(size = 1.8, na.rm = TRUE) +
    scale_colour_manual(NULL, values = c(BLUE, ORANGE)) +
    scale_shape_manual(NULL, values = c(19, 15)) +
    scale_x_continuous("Month of vaccination", breaks = ticks, labels = table[[by]][ticks]) +
    scale_y_continuous("Number", limits = c(0, top), labels = thousands, expand = c(0, 0)) +
    look() +
    theme(panel.grid.major.x = element_blank())
  note <- sprintf("Drawn: the last %d months. People of several months are not added up: they are the same people. Hatched: suppressed.", nrow(table))
  figure(plot, release, heading, note, sprintf("Doses and people by month, the last %d months.", nrow(table)), 3.8, 1)
}

# The same rates of two months beside one another. Nothing is subtracted: what two months differ by may be one family.
two_months <- function(earlier, later, by, most = 25) {
  m <- later$metadata
  heading <- paste0(title_of(later, by), ": two months")
  if (earlier$metadata$measure$fingerprint != m$measure$fingerprint) {
    refuse_release("the two months have different measures, or versions of one\nhint: ask for both with the same measure")
  }
  none <- all_withheld(later, heading)
  if (!is.null(none)) {
    return(none)
  }
  told <- later$table[!is.na(later$table$rate), ]
  drawn <- head(told[order(-told$denominator), ], most)
  drawn <- drawn[order(-drawn$rate), by]
  dates <- paste("as of", c(m$cohort$as_of, earlier$metadata$cohort$as_of))
  of <- function(release, date, aside) {
    table <- release$table[release$table[[by]] %in% drawn, ]
    data.frame(table, series = factor(date, dates), place = match(table[[by]], drawn) + aside)
  }
  plot <- rates_beside(rbind(of(later, dates[1], -0.18), of(earlier, dates[2], 0.18)), c(place = -0.3, value = 0.065), 0.15) +
    scale_x_reverse(NULL, breaks = seq_along(drawn), labels = drawn, expand = expansion(add = 0.2)) +
    percent("Rate", 10) +
    coord_flip(clip = "off") +
    theme(plot.margin = margin(6, 20, 6, 6))
  note <- sprintf(
    "Beside it: %s. Drawn: the %d with the largest denominators, of %d rows; %d are withheld. %s",
    dates[2], length(drawn), nrow(later$table), sum(is.na(later$table$rate)), BESIDE_KEY
  )
  figure(plot, later, heading, note, sprintf("Rates by %s %s and %s.", by, dates[2], dates[1]), 0.3 * max(4, length(drawn)), 2)
}
