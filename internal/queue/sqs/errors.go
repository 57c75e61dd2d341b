package sqs

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/roomcast/roomcast/internal/control"
)

// over reports whether SQS says that a receipt does not hold any more, in one
// of its ways to say it.
func over(err error) bool {
	var invalid *types.ReceiptHandleIsInvalid
	var notInFlight *types.MessageNotInflight
	var api smithy.APIError
	if errors.As(err, &invalid) || errors.As(err, &notInFlight) {
		return true
	}
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "InvalidParameterValue", "InvalidParameterValueException", "ReceiptHandleIsInvalid":
		return true
	}
	return false
}

// conflict says an error of Ack or Return in the words of control.
func conflict(err error) error {
	if over(err) {
		return errors.Join(control.ErrConflict, err)
	}
	return err
}
