package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/access"
	"redflag/internal/store"
)

// rightKey is where an operation notes the right that it needs.
const rightKey = "right"

// quietKey marks operations that are only the beginning of a deed.
const quietKey = "quiet"

// operation describes a route.
func operation(need access.Right, route, summary string) huma.Operation {
	method, path, _ := strings.Cut(route, " ")
	op := huma.Operation{
		OperationID: operationID(method, path), Method: method, Path: path, Summary: summary, MaxBodyBytes: maxBody,
		Metadata: map[string]any{rightKey: need}, Errors: []int{http.StatusBadRequest, http.StatusUnprocessableEntity},
	}
	if need == anyone {
		return op
	}
	op.Description = "Needs the right to " + string(need) + "."
	op.Security = []map[string][]string{{"key": {}}, {"cookie": {}}}
	op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden)
	if strings.Contains(path, "{") {
		op.Errors = append(op.Errors, http.StatusNotFound)
	}
	return op
}

// operationID makes a name for clients: GET /hosts/{host}/updates is get-hosts-host-updates.
func operationID(method, path string) string {
	return strings.ToLower(method) + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path)
}

// one adds a route whose answer is one thing.
func one[I, T any](a *API, need access.Right, route, summary string, do func(context.Context, *I) (T, error)) {
	register(a, operation(need, route, summary), do)
}

// quiet is one, for what is only the beginning of a deed.
func quiet[I, T any](a *API, need access.Right, route, summary string, do func(context.Context, *I) (T, error)) {
	op := operation(need, route, summary)
	op.Metadata[quietKey] = true
	register(a, op, do)
}

func register[I, T any](a *API, op huma.Operation, do func(context.Context, *I) (T, error)) {
	if reflect.TypeFor[T]() == reflect.TypeFor[none]() {
		op.DefaultStatus = http.StatusNoContent
		huma.Register(a.huma, op, func(ctx context.Context, in *I) (*struct{}, error) {
			_, err := do(ctx, in)
			return nil, a.told(err)
		})
		return
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*out[T], error) {
		v, err := do(ctx, in)
		return answer(v, a.told(err))
	})
}

// listed is a page of a list.
type listed[T any] struct {
	Items []T `json:"items"`
	// Next asks for the next page; absent on the last.
	Next string `json:"next,omitempty" doc:"Ask for the next page with this as after; absent on the last one."`
}

// Paging is what every list can be asked with.
type Paging struct {
	After  string `query:"after" maxLength:"4096" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many items."`
	Format string `query:"format" enum:"json,csv,jsonl" default:"json" doc:"csv and jsonl (an object a line) give the whole list, from after on."`
}

func (p Paging) page() (store.Page, string) {
	return store.Page{After: p.After, Limit: p.Limit}, p.Format
}

// paged is an input that can be asked page by page.
type paged interface {
	page() (p store.Page, format string)
}

// exports are the forms in which a list comes whole.
var exports = map[string]string{"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}

// list adds a route whose answer is a list.
func list[I, T any](a *API, need access.Right, route, summary string, read func(context.Context, *I, store.Page) ([]T, string, error)) {
	op := operation(need, route, summary)
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[listed[T]](), true, "")
	op.Responses = map[string]*huma.Response{"200": {Description: "A page of the list, or all of it as CSV or as JSON lines.", Content: map[string]*huma.MediaType{
		"application/json": {Schema: schema}, "text/csv": {Schema: &huma.Schema{Type: huma.TypeString}}, "application/jsonl": {Schema: &huma.Schema{Type: huma.TypeString}},
	}}}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		p, format := any(in).(paged).page()
		items, next, err := read(ctx, in, p)
		if err != nil {
			return nil, a.told(err)
		}
		return &huma.StreamResponse{Body: func(w huma.Context) {
			if exports[format] == "" {
				w.SetHeader("Content-Type", "application/json")
				_ = json.NewEncoder(w.BodyWriter()).Encode(listed[T]{append([]T{}, items...), next}) // an error: who asked is gone
				return
			}
			w.SetHeader("Content-Type", exports[format])
			w.SetHeader("Content-Disposition", `attachment; filename="`+operationID("", op.Path)[1:]+"."+format+`"`)
			write := writeCSV[T]
			if format == "jsonl" {
				write = writeLines[T]
			}
			if err := write(w.BodyWriter(), items, func() (more []T, err error) {
				if next == "" {
					return nil, nil
				}
				more, next, err = read(ctx, in, store.Page{After: next, Limit: store.MaxLimit})
				return more, err
			}); err != nil {
				a.cfg.Log.Error("a list was cut off", "path", op.Path, "err", err)
				panic(http.ErrAbortHandler) // so that nobody takes it for whole
			}
		}}, nil
	})
}
