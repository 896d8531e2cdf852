package main

import (
	"fmt"
	"io"
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
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// write prints the table. With a width above 0 the last column is cut to fit, with an ellipsis; the others never are,
// because a version that is cut is a wrong version.
func (t *table) write(w io.Writer, paint painter, width int) {
	widths := t.widths()
	for _, row := range t.rows {
		var line strings.Builder
		line.WriteString(t.indent)
		used := utf8.RuneCountInString(t.indent)
		for i, c := range row {
			last := i == len(row)-1
			text := c.text
			if last && width > 0 {
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
			if !last {
				line.WriteString("  ")
			}
			used += widths[i] + 2
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
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

// tooNarrow is a width at which cutting leaves nothing to read: the terminal may wrap instead.
const tooNarrow = 12

// cut shortens a text to n runes with an ellipsis.
func cut(text string, n int) string {
	if n < tooNarrow || utf8.RuneCountInString(text) <= n {
		return text
	}
	runes := []rune(text)
	return string(runes[:n-1]) + "…"
}
