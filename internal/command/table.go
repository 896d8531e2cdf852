package command

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// cell is one field of a table.
type cell struct {
	text  string
	style style
	right bool
}

func left(text string) cell { return cell{text: text} }

// table is rows of cells, aligned by column, two spaces between them.
type table struct {
	indent string
	rows   [][]cell
	// spare is how many columns at the end may be left out where there is no room for them.
	spare int
	// folds are the columns that begin a line of their own where the rest does not fit on one.
	folds []int
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// gap stands between two columns.
const gap = "  "

// write prints the table in a width; 0 is as wide as it takes. Where it does not fit, the last column is cut with an ellipsis,
// if it can be spared, then what can be spared is left out, and then each row is folded into several lines. Nothing else is
// ever cut: a version that is cut is a wrong version.
func (t *table) write(w io.Writer, paint painter, width int) {
	widths := t.widths()
	columns := len(widths)
	if width > 0 {
		for spared := 0; !t.fits(widths[:columns], width) && spared < t.spare; spared++ {
			columns--
		}
	}
	lines := [][2]int{{0, columns}}
	if width > 0 && !t.fits(widths[:columns], width) {
		lines, widths = t.fold(columns), make([]int, columns)
	}
	for _, row := range t.rows {
		for i, span := range lines {
			from, to := span[0], min(span[1], len(row))
			if from >= to {
				continue
			}
			indent := t.indent
			if i > 0 {
				indent += gap + gap
			}
			room := 0
			if t.spare > 0 {
				room = width - utf8.RuneCountInString(indent)
			}
			line := write(paint, row[from:to], widths[from:to], room)
			if line != "" {
				fmt.Fprintln(w, indent+line)
			}
		}
	}
}

// fits says whether columns fit, the last one cut if need be.
func (t *table) fits(widths []int, width int) bool {
	used := utf8.RuneCountInString(t.indent) + len(gap)*(len(widths)-1)
	for i, w := range widths {
		if i == len(widths)-1 && t.spare > 0 {
			w = min(w, enough)
		}
		used += w
	}
	return used <= width
}

// fold gives the first and the last column of each line of a row.
func (t *table) fold(columns int) [][2]int {
	var lines [][2]int
	from := 0
	for _, f := range append(slices.Clone(t.folds), columns) {
		if f = min(f, columns); f > from {
			lines = append(lines, [2]int{from, f})
			from = f
		}
	}
	return lines
}

// write gives one line, its last cell cut to what is left of the width; 0 or less is as wide as it takes.
func write(paint painter, cells []cell, widths []int, width int) string {
	var line strings.Builder
	used := 0
	for i, c := range cells {
		last := i == len(cells)-1
		text := c.text
		if last {
			text = cut(text, width-used)
		}
		pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(text)))
		switch {
		case c.right:
			line.WriteString(pad + paint.paint(c.style, text))
		case last:
			line.WriteString(paint.paint(c.style, text))
		default:
			line.WriteString(paint.paint(c.style, text) + pad)
		}
		if !last && (text != "" || widths[i] > 0) {
			line.WriteString(gap)
			used += max(widths[i], utf8.RuneCountInString(text)) + len(gap)
		}
	}
	return strings.TrimRight(line.String(), " ")
}

func (t *table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	return widths
}

// enough is the width down to which a column may be cut: less leaves nothing to read.
const enough = 16

// cut shortens a text to n runes with an ellipsis, where that leaves enough to read.
func cut(text string, n int) string {
	if n < enough || utf8.RuneCountInString(text) <= n {
		return text
	}
	runes := []rune(text)
	return string(runes[:n-1]) + "…"
}
