package infratest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	it "github.com/roomcast/roomcast/internal/infratest"
)

// method is a call of the AWS SDK in a program's symbols. The linker drops
// what a program cannot reach, so that these are the calls that it may make.
var method = regexp.MustCompile(`aws-sdk-go-v2/service/([a-z0-9]+)\.\(\*Client\)\.([A-Z][A-Za-z0-9]*)$`)

// needs are the permissions of a call, by service and name. Of alternatives,
// separated by |, a program needs one at least and may have all. The SDK's own
// calls for credentials and endpoints need none.
func needs() map[string][]string {
	return map[string][]string{
		"dynamodb.GetItem":                         {"dynamodb:GetItem"},
		"dynamodb.BatchGetItem":                    {"dynamodb:BatchGetItem"},
		"dynamodb.TransactGetItems":                {"dynamodb:GetItem"},
		"dynamodb.Query":                           {"dynamodb:Query"},
		"dynamodb.PutItem":                         {"dynamodb:PutItem"},
		"dynamodb.UpdateItem":                      {"dynamodb:UpdateItem"},
		"dynamodb.DeleteItem":                      {"dynamodb:DeleteItem"},
		"dynamodb.TransactWriteItems":              {"dynamodb:PutItem|dynamodb:UpdateItem|dynamodb:DeleteItem|dynamodb:ConditionCheckItem"},
		"s3.GetObject":                             {"s3:GetObject", "s3:ListBucket"}, // a missing object is 403 without the second
		"s3.HeadObject":                            {"s3:GetObject", "s3:ListBucket"},
		"s3.ListObjectsV2":                         {"s3:ListBucket"},
		"s3.PutObject":                             {"s3:PutObject"},
		"s3.DeleteObject":                          {"s3:DeleteObject"},
		"s3.CreateMultipartUpload":                 {"s3:PutObject"},
		"s3.UploadPart":                            {"s3:PutObject"},
		"s3.CompleteMultipartUpload":               {"s3:PutObject"},
		"s3.AbortMultipartUpload":                  {"s3:AbortMultipartUpload"},
		"sqs.SendMessage":                          {"sqs:SendMessage"},
		"sqs.SendMessageBatch":                     {"sqs:SendMessage"},
		"sqs.ReceiveMessage":                       {"sqs:ReceiveMessage"},
		"sqs.DeleteMessage":                        {"sqs:DeleteMessage"},
		"sqs.ChangeMessageVisibility":              {"sqs:ChangeMessageVisibility"},
		"sqs.GetQueueUrl":                          {"sqs:GetQueueUrl"},
		"sqs.GetQueueAttributes":                   {"sqs:GetQueueAttributes"},
		"ecs.RunTask":                              {"ecs:RunTask", "iam:PassRole"},
		"ecs.ListTasks":                            {"ecs:ListTasks"},
		"ecs.DescribeTasks":                        {"ecs:DescribeTasks"},
		"ssm.GetParameter":                         {"ssm:GetParameter"},
		"cloudfront.CreateInvalidation":            {"cloudfront:CreateInvalidation"},
		"elasticloadbalancingv2.RegisterTargets":   {"elasticloadbalancing:RegisterTargets"},
		"elasticloadbalancingv2.DeregisterTargets": {"elasticloadbalancing:DeregisterTargets"},

		"dynamodb.DescribeEndpoints": {}, "s3.CreateSession": {},
		"sso.GetRoleCredentials": {}, "ssooidc.CreateToken": {}, "sts.AssumeRole": {}, "sts.AssumeRoleWithWebIdentity": {}, "signin.CreateOAuth2Token": {},
	}
}

// byAgent are permissions that a program uses without the SDK.
func byAgent() map[string][]string {
	return map[string][]string{"workers/ingest": {"ecs:GetTaskProtection", "ecs:UpdateTaskProtection"}} // ECS's agent asks with the task's role
}

// calls answers what a program may call.
func calls(t *testing.T, program string) []string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags=lambda.norpc", "-o", bin, "./"+program)
	build.Dir, build.Env = it.Root(), append(os.Environ(), "CGO_ENABLED=0")
	if b, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	symbols, err := exec.CommandContext(t.Context(), "go", "tool", "nm", bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(symbols)) {
		if m := method.FindStringSubmatch(strings.TrimSpace(line)); m != nil && m[2] != "Options" {
			found[m[1]+"."+m[2]] = true
		}
	}
	var list []string
	for c := range found {
		list = append(list, c)
	}
	slices.Sort(list)
	return list
}

type statement struct {
	actions   []string
	resources []any
	condition map[string]any
}

func statements(policies any) []statement {
	var found []statement
	it.Walk(policies, func(v any) {
		m := it.Map(v)
		if m["Effect"] != "Allow" {
			return
		}
		s := statement{resources: it.List(m["Resource"]), condition: it.Map(m["Condition"])}
		for _, a := range it.List(m["Action"]) {
			s.actions = append(s.actions, a.(string))
		}
		found = append(found, s)
	})
	return found
}

// permissions answers what each program's role allows.
func permissions(all map[string]it.Template) map[string][]statement {
	found := map[string][]statement{}
	for id, p := range all["functions"].Of("AWS::Serverless::Function") {
		found["functions/"+strings.ToLower(id)] = statements(p["Policies"])
	}
	for id, p := range all["cdn"].Of("AWS::IAM::RolePolicy") { // what is made after the functions
		if id == "Invalidation" {
			found["functions/archiver"] = append(found["functions/archiver"], statements(p)...)
		}
	}
	for id, p := range all["workers"].Of("AWS::IAM::Role") {
		if name, ok := strings.CutSuffix(id, "Role"); ok && name != "Execution" {
			for _, policy := range it.List(p["Policies"]) { // ECS Exec's is no call of the program
				if m := it.Map(policy); m["PolicyName"] != nil {
					found["workers/"+strings.ToLower(name)] = append(found["workers/"+strings.ToLower(name)], statements(m)...)
				}
			}
		}
	}
	return found
}

// compare tells calls without a permission and permissions without a call.
func compare(program string, calls []string, allowed []statement) []string {
	var problems []string
	has, used := map[string]bool{}, map[string]bool{}
	for _, s := range allowed {
		for _, a := range s.actions {
			has[a] = true
		}
	}
	for _, a := range byAgent()[program] {
		used[a] = true
	}
	for _, c := range calls {
		wanted, known := needs()[c]
		if !known {
			problems = append(problems, fmt.Sprintf("%s calls %s, whose permission this test does not know", program, c))
		}
		for _, w := range wanted {
			any := false
			for a := range strings.SplitSeq(w, "|") {
				any = any || has[a]
				used[a] = true
			}
			if !any {
				problems = append(problems, fmt.Sprintf("%s calls %s, which needs %s", program, c, w))
			}
		}
	}
	for a := range has {
		if !used[a] {
			problems = append(problems, fmt.Sprintf("%s is allowed %s, which it never calls", program, a))
		}
	}
	slices.Sort(problems)
	return problems
}

func TestEveryProgramIsAllowedWhatItCallsAndNothingElse(t *testing.T) {
	all := permissions(load(t))
	if len(all) < 6 {
		t.Fatalf("permissions of %d programs only", len(all))
	}
	for program, allowed := range all {
		t.Run(program, func(t *testing.T) {
			for _, p := range compare(program, calls(t, program), allowed) {
				t.Error(p)
			}
		})
	}
}

func TestMissingAndIdlePermissionsAreFound(t *testing.T) {
	got := compare("x", []string{"dynamodb.GetItem", "dynamodb.TransactWriteItems", "s3.Unheard"}, []statement{
		{actions: []string{"dynamodb:UpdateItem", "sqs:SendMessage"}},
	})
	want := []string{
		"x calls dynamodb.GetItem, which needs dynamodb:GetItem", "x calls s3.Unheard, whose permission this test does not know",
		"x is allowed sqs:SendMessage, which it never calls",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %q", got)
	}
}

// wildcards are the statements that speak of every resource, because AWS has
// none for them.
func wildcards() []string {
	return []string{
		"ecr:GetAuthorizationToken",
		"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
	}
}

func TestNoPolicySpeaksOfEverything(t *testing.T) {
	for name, tmpl := range load(t) {
		for id, r := range tmpl.Section("Resources") {
			kind, _ := it.Map(r)["Type"].(string)
			if kind == "AWS::KMS::Key" { // its own policy speaks of itself alone
				continue
			}
			for _, s := range statements(r) {
				for _, a := range s.actions {
					for _, resource := range s.resources {
						if resource == "*" && !slices.Contains(wildcards(), a) {
							t.Errorf("%s: %s allows %s on every resource", name, id, a)
						}
					}
					if strings.Contains(a, "*") {
						t.Errorf("%s: %s allows %s: a permission has a name", name, id, a)
					}
				}
			}
		}
	}
}

func TestWorkersWriteLeasesAndReadNoSecret(t *testing.T) {
	for _, s := range permissions(load(t))["workers/ingest"] {
		for _, a := range s.actions {
			if !strings.HasPrefix(a, "dynamodb:") {
				continue
			}
			keys := it.List(it.Map(s.condition["ForAllValues:StringLike"])["dynamodb:LeadingKeys"])
			if len(keys) == 0 {
				t.Errorf("%s is allowed on every key", a)
			}
			for _, k := range keys {
				if strings.HasPrefix(k.(string), "SECRET") || k == "*" || a == "dynamodb:UpdateItem" && k != "LEASE#*" {
					t.Errorf("%s is allowed on %s", a, k)
				}
			}
		}
	}
}
