# Figures of releases that carry what must travel with them, and the facts of a release as a table.
#
# Each figure has its marking, measure, denominator and as-of date, so that it can be pasted
# elsewhere without losing them. What is withheld is a hatched band, because nothing is said about
# where the value lies. It is never drawn as zero. Marks differ in shape or hatch, not in colour alone.
#
#   counties <- rates_by_row(read_release("demo/releases/by_county"), "county", "Coverage by county")
#   counties$plot  # drawn at counties$width x counties$height inches; counties$alt is its text

library(ggplot2)

BLUE <- "#0072B2"
ORANGE <- "#D55E00"
GREEN <- "#009E73"
GREY <- "#8C8C8C"
PALE <- "#F2F2F2"
INK <- "#222222"
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

word <- function(status) gsub("_", " ", status)

thousands <- function(x) format(x, big.mark = ",", trim = TRUE, scientific = FALSE)

share_text <- function(share) sprintf("%.1f %%", 100 * share)

# Numerator and denominator, or why there are none.
counts <- function(table, between = " / ") {
  ifelse(table$status %in% WITH_NUMBERS, paste0(thousands(table$numerator), between, thousands(table$denominator)), word(table$status))
}

dimension_title <- function(m, dimension) tolower(Filter(function(d) d$id == dimension, m$dimensions)[[1]]$title)

# --- The frame of a figure -----------------------------------------------------------------------

# A plot with what it must carry (marking, measure, denominator, as-of date), its inches, and its text for those who do
# not see it. `panel`: inches of the plot itself; `key_rows`: rows of its key.
figure <- function(plot, release, heading, note, alt, panel, key_rows, width = 9) {
  m <- release$metadata
  fold <- function(text, per_inch) paste(strwrap(text, per_inch * width), collapse = "\n")
  sources <- vapply(m$denominators, function(d) d$source, "")
  denominator <- if (m$indicator == "curve") {
    "Clients of the cohort, as far as they were followed"
  } else if (length(sources) == 1) {
    paste0(sources, ", ", m$denominators[[1]]$description)
  } else if (length(sources)) {
    paste(sources, collapse = ", ")
  } else {
    "none"
  }
  measure <- if (is.null(m$measure)) {
    paste("Measure: none.", m$indicator_definition)
  } else {
    sprintf("Measure: %s, version %s, fingerprint %s", m$measure$id, m$measure$version, substr(m$measure$fingerprint, 1, 12))
  }
  texts <- list(
    marking = fold(m$marking, 10.5),
    title = fold(heading, 8.3),
    subtitle = fold(paste0("As of ", m$cohort$as_of, ". ", m$cohort$description, ". ", trimws(note)), 12.8),
    caption = paste(
      fold(measure, 14), fold(paste("Denominator:", denominator), 14),
      fold(sprintf("Suppression: k = %s. Release: %s, %s %s", m$disclosure$k, m$release_id, m$tool$name, m$tool$version), 14),
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
      0.16 * lines[["caption"]] + 0.22 * key_rows,
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
      plot.caption = element_text(hjust = 0, lineheight = 1.2, size = 9, margin = margin(t = 14)), plot.caption.position = "plot",
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

in_percent <- function(table) {
  table[c("rate", "ci_low", "ci_high")] <- 100 * table[c("rate", "ci_low", "ci_high")]
  table
}

# A figure that says that no row has numbers; NULL when one has.
all_withheld <- function(release, heading) {
  if (any(release$table$status %in% WITH_NUMBERS)) {
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
rates_by_row <- function(release, by, heading, note = "", most = 40, order = "rate") {
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
    annotate("text", 0, 102.5, label = "numerator / denominator", hjust = 0, size = 2.8, fontface = "bold", colour = INK) +
    scale_x_reverse(
      NULL, breaks = table$place, labels = table[[by]], expand = expansion(add = c(0.6, 0.2)),
      sec.axis = dup_axis(name = NULL, labels = counts(table))
    ) +
    percent("Rate (numerator / denominator)", 10) +
    coord_flip(clip = "off") +
    theme(
      panel.grid.major.y = element_blank(), axis.text.y.left = element_text(margin = margin(r = 8)),
      axis.text.y.right = element_text(hjust = 0, margin = margin(l = 10)), plot.margin = margin(6, 66, 6, 6)
    )
  figure(plot, release, heading, note, paste0(heading, ", with intervals."), 0.235 * max(4, nrow(table) + 1), length(unique(table$status)))
}

# Rates with intervals, along years or quarters. Unjoined: each is another cohort, and a suppressed one has no place on a line.
rates_over_time <- function(release, by, heading, note = "") {
  table <- one_row_each(release$table, by)
  table <- table[order(table[[by]]), ] # "Unknown" sorts after digits
  table$place <- seq_len(nrow(table))
  places <- max(nrow(table), 5) # room for five at least: one band is not a wall
  width <- min(max(9, 0.68 * nrow(table) + 1), 16)
  plot <- rates_plot(table, release, c(place = (width - 1) / places, value = 0.036)) +
    scale_x_continuous(
      NULL, breaks = table$place, expand = expansion(add = 0.5),
      labels = paste0(sub("-", "\n", table[[by]]), "\n", counts(table, between = " /\n"))
    ) +
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
