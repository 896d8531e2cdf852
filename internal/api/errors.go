package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/access"
	"redflag/internal/exposure"
	"redflag/internal/server"
	"redflag/internal/store"
)

// kinds maps kinds of error to what is answered, once for all routes.
var kinds = []struct {
	kind   error
	status int
}{
	{store.ErrNoHost, http.StatusNotFound},
	{store.ErrNoOffer, http.StatusNotFound},
	{store.ErrNoOrder, http.StatusNotFound},
	{store.ErrNoUser, http.StatusNotFound},
	{store.ErrNoKey, http.StatusNotFound},
	{store.ErrNoGroup, http.StatusNotFound},
	{store.ErrNoToken, http.StatusNotFound},
	{store.ErrNoLogin, http.StatusNotFound},
	{store.ErrNoTOTP, http.StatusNotFound},
	{store.ErrNoPasskey, http.StatusNotFound},
	{store.ErrNoChallenge, http.StatusConflict},
	{store.ErrHasTOTP, http.StatusConflict},
	{store.ErrStep, http.StatusConflict},
	{store.ErrManyPasskeys, http.StatusConflict},
	{store.ErrPage, http.StatusBadRequest},
	{store.ErrCompare, http.StatusBadRequest},
	{store.ErrLabels, http.StatusUnprocessableEntity},
	{store.ErrName, http.StatusUnprocessableEntity},
	{access.ErrPassword, http.StatusUnprocessableEntity},
	{store.ErrTaken, http.StatusConflict},
	{store.ErrLastAdmin, http.StatusConflict},
	{store.ErrManyOrders, http.StatusConflict},
	{exposure.ErrNone, http.StatusNotFound},
	{exposure.ErrNoMend, http.StatusConflict},
	{server.ErrAddress, http.StatusUnprocessableEntity},
	{server.ErrFeedLarge, http.StatusRequestEntityTooLarge},
	{store.ErrNoFeed, http.StatusNotFound},
	{store.ErrOtherFeed, http.StatusConflict},
	{store.ErrNoSuppression, http.StatusNotFound},
	{store.ErrSuppression, http.StatusUnprocessableEntity},
	{store.ErrManySuppressions, http.StatusConflict},
	{store.ErrNoRollout, http.StatusNotFound},
	{store.ErrNoJob, http.StatusNotFound},
	{store.ErrOtherPlan, http.StatusConflict},
	{store.ErrNothingToUndo, http.StatusConflict},
	{store.ErrManyHosts, http.StatusUnprocessableEntity},
	{server.ErrNoHosts, http.StatusUnprocessableEntity},
}

// told makes an error one for people. What is the server's own fault is logged, and told without its inside.
func (a *API) told(err error) error {
	var already huma.StatusError
	if err == nil || errors.As(err, &already) {
		return err
	}
	if errors.Is(err, store.ErrWork) {
		return huma.NewError(http.StatusUnprocessableEntity, err.Error())
	}
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			return huma.NewError(k.status, k.kind.Error())
		}
	}
	if !errors.Is(err, context.Canceled) {
		a.cfg.Log.Error("a request failed", "err", err)
	}
	return huma.NewError(http.StatusInternalServerError, "the server could not do it; its log says why")
}

// problem writes a problem document where no operation is at hand.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.NewError(status, detail)) // who asked is gone
}
