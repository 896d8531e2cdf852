package wire

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"redflag/internal/fleet"
)

// SignedOrder is an order under the server's signature: what is signed are the bytes of Order, as they stand.
type SignedOrder struct {
	Order     []byte `json:"order"`
	Signature []byte `json:"signature"`
}

// orderContext keeps a signature of an order from being one of anything else (RFC 8032 has no context in plain Ed25519).
const orderContext = "redflag order\x00"

// Sign signs an order with the server's key.
func (o Order) Sign(key ed25519.PrivateKey) (SignedOrder, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return SignedOrder{}, fmt.Errorf("sign an order: %w", err)
	}
	return SignedOrder{body, ed25519.Sign(key, append([]byte(orderContext), body...))}, nil
}

// ErrOrder: an order that this host must not obey.
var ErrOrder = errors.New("the order is not for this host to obey")

// Open gives the order, if it is from the server whose key it is, for this host, and of now.
func (s SignedOrder) Open(key ed25519.PublicKey, host fleet.HostID, now time.Time) (Order, error) {
	var o Order
	switch {
	case len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, append([]byte(orderContext), s.Order...), s.Signature):
		return o, fmt.Errorf("%w: the signature is not the server's", ErrOrder)
	case json.Unmarshal(s.Order, &o) != nil:
		return Order{}, fmt.Errorf("%w: it cannot be read", ErrOrder)
	case o.Host != host:
		return Order{}, fmt.Errorf("%w: it is for another host", ErrOrder)
	case !now.Before(o.ExpiresAt):
		return o, fmt.Errorf("%w: it expired at %s", ErrOrder, o.ExpiresAt.Format(time.RFC3339))
	}
	return o, nil
}

// MarshalText implements encoding.TextMarshaler.
func (id OrderID) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(id), 10), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *OrderID) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	*id = OrderID(n)
	return err
}
