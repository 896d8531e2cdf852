package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Pack gives a message as it travels: JSON, compressed where that makes it shorter. The second value is the Content-Encoding;
// empty for none.
func Pack(message any) ([]byte, string, error) {
	data, err := json.Marshal(message)
	if err != nil {
		return nil, "", err
	}
	if len(data) < worthPacking {
		return data, "", nil
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, "", err
	}
	_, err = w.Write(data)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, "", err
	}
	return packed.Bytes(), "gzip", nil
}

// worthPacking is the length from which compressing saves more than its own header.
const worthPacking = 512

// ErrMessage: a body that is no message.
var ErrMessage = errors.New("the body is no message")

// Unpack reads a message as it travelled, of at most limit bytes when it is unpacked.
func Unpack(body []byte, encoding string, limit int64, message any) error {
	r := io.Reader(bytes.NewReader(body))
	switch encoding {
	case "":
	case "gzip":
		unpacked, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMessage, err)
		}
		r = unpacked
	default:
		return fmt.Errorf("%w: it is encoded as %q", ErrMessage, encoding)
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if int64(len(data)) > limit {
		return bounds("over %d bytes", limit)
	}
	if err := json.Unmarshal(data, message); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return nil
}
