package dynamo

import (
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// expr is an expression and its values, without their colon. In it every
// attribute is written as #name.
type expr struct {
	text   string
	values item
}

func where(text string, values item) expr { return expr{text: text, values: values} }

// absent holds where there is no item of this key.
func absent() expr { return where("attribute_not_exists(#pk)", nil) }

// atVersion holds where the record has this version; 0 = none.
func atVersion(v uint64) expr {
	if v == 0 {
		return absent()
	}
	return where("#version = :version", item{"version": number(v)})
}

func (e expr) condition() *string {
	if e.text == "" {
		return nil
	}
	return aws.String(e.text)
}

var attribute = regexp.MustCompile(`#(\w+)`)

// names answers what #name stands for, in all of the texts.
func names(texts ...string) map[string]string {
	found := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(strings.Join(texts, " "), -1) {
		found[m[0]] = m[1]
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

// bind puts the colon before the names of values.
func bind(values ...item) item {
	bound := item{}
	for _, vs := range values {
		for k, v := range vs {
			bound[":"+k] = v
		}
	}
	if len(bound) == 0 {
		return nil
	}
	return bound
}

const allOld = types.ReturnValuesOnConditionCheckFailureAllOld
