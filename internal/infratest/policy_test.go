package infratest_test

import (
	"testing"

	it "github.com/roomcast/roomcast/internal/infratest"
)

func TestAPolicyDecidesAsIAMDoes(t *testing.T) {
	tmpl, err := it.Parse([]byte(`
Parameters: {TableArn: {Type: String}, Bucket: {Type: String, Default: arn:aws:s3:::b}}
Resources:
  R:
    Statement:
      - {Effect: Allow, Action: [dynamodb:GetItem, dynamodb:Query], Resource: [!Ref TableArn, !Sub "${TableArn}/index/*"]}
      - {Effect: Allow, Action: [dynamodb:UpdateItem], Resource: !Ref TableArn, Condition: {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["LEASE#*"]}}}
      - {Effect: Deny, Action: dynamodb:*, Resource: !Ref TableArn, Condition: {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["SECRET#*"]}}}
      - {Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Bucket}/live/*"}
`))
	if err != nil {
		t.Fatal(err)
	}
	const table = "arn:aws:dynamodb:us-east-1:1:table/t"
	p, err := tmpl.Policy(tmpl.Root, map[string]string{"TableArn": table})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		action, resource string
		keys             []string
		want             bool
	}{
		{"dynamodb:GetItem", table, []string{"KEY#1"}, true},
		{"dynamodb:GetItem", table, []string{"KEY#1", "SECRET#1"}, false},
		{"dynamodb:Query", table + "/index/sweep", []string{"lease/1"}, true},
		{"dynamodb:PutItem", table, []string{"LEASE#1"}, false},
		{"dynamodb:UpdateItem", table, []string{"LEASE#1"}, true},
		{"dynamodb:UpdateItem", table, []string{"LEASE#1", "KEY#1"}, false},
		{"dynamodb:GetItem", table + "2", []string{"KEY#1"}, false},
		{"s3:GetObject", "arn:aws:s3:::b/live/p/s1/v/1.m4s", nil, true},
		{"s3:GetObject", "arn:aws:s3:::b/posts/p", nil, false},
	} {
		if got := p.Allows(c.action, c.resource, c.keys); got != c.want {
			t.Errorf("%s on %s %v: %t", c.action, c.resource, c.keys, got)
		}
	}
	if _, err := tmpl.Policy(tmpl.Root, nil); err == nil {
		t.Error("an unknown name is taken")
	}
}
