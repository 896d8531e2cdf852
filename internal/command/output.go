package command

import (
	"io"
	"os"
)

// output is standard output that remembers whether it could be written. A report that ended on a full disk is no success.
type output struct {
	w   io.Writer
	err error // the first one
}

// fileOf gives the file behind a writer; nil where there is none.
func fileOf(w io.Writer) *os.File {
	if o, ok := w.(*output); ok {
		w = o.w
	}
	f, _ := w.(*os.File)
	return f
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}
