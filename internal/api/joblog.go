package api

import (
	"bufio"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/store"
)

// writeLog writes what is kept of a job's lines, part by part: none of it is held whole.
func (a *API) writeLog(hc huma.Context, j store.WholeJob) {
	hc.SetHeader("Content-Type", "text/plain; charset=utf-8")
	hc.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="redflag-job-%d.log"`, j.ID))
	out := bufio.NewWriter(hc.BodyWriter())
	for from := 0; ; {
		part, err := a.cfg.Store.Lines(hc.Context(), j.ID, from, store.MaxLines)
		if err != nil {
			a.cfg.Log.Error("a log was cut off", "job", j.ID, "err", err)
			panic(http.ErrAbortHandler) // so that nobody takes it for whole
		}
		for _, line := range part.Lines {
			_, _ = out.WriteString(line)
			_ = out.WriteByte('\n') // the first error stays with the writer
		}
		if out.Flush() != nil || len(part.Lines) == 0 {
			return // who asked is gone, or has all
		}
		from = part.Next
	}
}
