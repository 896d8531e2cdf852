package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/access"
	"redflag/internal/fleet"
	"redflag/internal/server"
)

// maxFeed bounds a feed that is sent: all of Ubuntu's advisories have some hundred MB.
const maxFeed = 1 << 30

func (a *API) advisories(ctx context.Context, _ *none) (server.Advisories, error) {
	return a.cfg.Server.Advisories(ctx)
}

// importInput is how a feed is imported. Its body is read by the handler: it may be large.
type importInput struct {
	Replace bool   `query:"replace" doc:"Take it even if it is older or much smaller than the one that is there."`
	From    string `query:"from" maxLength:"1000" doc:"Where it comes from, for those who read it later: the file's name."`
}

// fetchFeed is where the server is to fetch a feed.
type fetchFeed struct {
	URL string `json:"url" doc:"An address that the server's configuration names (feeds in its section server); no other is asked."`
}

// importing adds the route by which feeds are imported.
func (a *API) importing() {
	op := operation(access.Administer, "POST /advisories", "Import a feed of advisories, or a bundle of them")
	op.Description += " The body is the feed itself (application/octet-stream), as its publisher has it or as `redflag advisories export` wrote it; or, as application/json, an address that the " +
		"server's configuration names, which it is to ask now. A feed that is refused leaves the one that is there as it is."
	address := a.huma.OpenAPI().Components.Schemas.Schema(typeOf[fetchFeed](), true, "")
	op.MaxBodyBytes = maxFeed
	op.Errors = append(op.Errors, http.StatusConflict, http.StatusRequestEntityTooLarge)
	register(a, op, a.importFeed)
	// Huma would read it into memory.
	a.huma.OpenAPI().Paths["/advisories"].Post.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}, "application/json": {Schema: address},
	}}
}

func (a *API) importFeed(ctx context.Context, in *importInput) (server.ImportedFeeds, error) {
	done, err := a.importFrom(ctx, in, requestOf(ctx))
	var u *fleet.Unknown
	if errors.As(err, &u) { // the feed's fault, and not the server's
		because, remedy := fleet.Explain(err)
		return done, huma.Error422UnprocessableEntity(strings.TrimSuffix(because+"; "+remedy, "; "))
	}
	for _, f := range done.Feeds {
		about(ctx, "%s, of %s, from %s", f.Name, f.AsOf.Format("2006-01-02"), fleet.Plain(f.From))
	}
	return done, err
}

func (a *API) importFrom(ctx context.Context, in *importInput, r *http.Request) (server.ImportedFeeds, error) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var at fetchFeed
		if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&at); err != nil {
			return server.ImportedFeeds{}, huma.Error422UnprocessableEntity("the body is no {\"url\": …}; a feed goes as application/octet-stream")
		}
		return a.cfg.Server.FetchFeed(ctx, at.URL, in.Replace)
	}
	return a.cfg.Server.ImportFeed(ctx, r.Body, fleet.Plain(in.From), in.Replace)
}

func (a *API) deleteFeed(ctx context.Context, in *struct {
	Feed string `path:"feed" maxLength:"400" doc:"The feed's name."`
}) (none, error) {
	about(ctx, "%s", fleet.Plain(in.Feed))
	return none{}, a.cfg.Server.DeleteFeed(ctx, in.Feed)
}
