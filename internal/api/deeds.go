package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"redflag/internal/server"
	"redflag/internal/store"
)

// deed is what a request is about to do, as far as its handler says.
type deed struct{ who, about string }

type deedKey struct{}

// about notes on what something is done, and how, for those who read later who did what.
func about(ctx context.Context, format string, args ...any) {
	if d, ok := ctx.Value(deedKey{}).(*deed); ok {
		d.about = fmt.Sprintf(format, args...)
	}
}

// doneBy notes who does it, where the guard cannot know.
func doneBy(ctx context.Context, who string) {
	if d, ok := ctx.Value(deedKey{}).(*deed); ok {
		d.who = who
	}
}

// noting keeps who did what, for all that is more than a question: what was done, and who tried to sign in in vain.
func (a *API) noting(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if op.Method == http.MethodGet || op.Metadata[quietKey] != nil {
		next(ctx)
		return
	}
	r, _ := humago.Unwrap(ctx)
	d := &deed{}
	ctx = huma.WithValue(ctx, deedKey{}, d)
	next(ctx)
	refused := ctx.Status() == http.StatusUnauthorized
	if d.who == "" || ctx.Status() >= http.StatusBadRequest && !refused { // the guard lets nobody pass unnamed
		return
	}
	what := op.Summary
	if refused {
		what += ": refused"
	}
	// The deed is done: that who asked has gone changes nothing.
	kept := context.WithoutCancel(r.Context())
	err := a.cfg.Store.Note(kept, store.Deed{At: a.cfg.Now(), Who: d.who, Address: server.Address(r, a.cfg.TrustedProxies), What: what, About: d.about})
	if a.noted(server.TopicDeeds, err) != nil {
		a.cfg.Log.Error("what was done could not be noted", "who", d.who, "what", what, "about", d.about, "err", err)
	}
}

type deedsInput struct {
	Paging
	Who string `query:"who" maxLength:"200" doc:"Whose: a person's name, or key NAME."`
	Q   string `query:"q" maxLength:"200" doc:"A part of what was done, or on what."`
}

func (a *API) deeds(ctx context.Context, in *deedsInput, p store.Page) ([]store.Deed, string, error) {
	return a.cfg.Store.Deeds(ctx, store.DeedFilter{Who: in.Who, Text: in.Q}, p)
}
