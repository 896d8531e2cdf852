package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// rows are written many with one statement: each statement costs what writing several rows does.
type rows struct {
	width int
	args  []any
}

// maxRows is how many go with one statement. Both engines take over 30,000 arguments.
const maxRows = 200

func (r *rows) add(values ...any) {
	r.width = len(values)
	r.args = append(r.args, values...)
}

// write writes them: INSERT INTO t (a, b) VALUES … ON CONFLICT … .
func (r *rows) write(ctx context.Context, c conn, into, conflict string) error {
	for some := range slices.Chunk(r.args, maxRows*max(r.width, 1)) {
		if _, err := c.exec(ctx, into+" VALUES "+c.d.places(len(some), r.width)+" "+conflict, some...); err != nil {
			return err
		}
	}
	return nil
}

// places gives the places of n arguments in rows of a width: ($1, $2), ($3, $4). SQLite looks for the name of each that has a number
// among all the others', so there they have none.
func (d dialect) places(n, width int) string {
	var b strings.Builder
	for i := range n {
		switch {
		case i%width > 0:
			b.WriteString(", ")
		case i > 0:
			b.WriteString("), (")
		default:
			b.WriteString("(")
		}
		if d == sqlite {
			b.WriteByte('?')
		} else {
			b.WriteString("$" + strconv.Itoa(i+1))
		}
	}
	return b.String() + ")"
}
