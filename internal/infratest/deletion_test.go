package infratest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	it "github.com/roomcast/roomcast/internal/infratest"
)

// kept are the resources that stay when the stack is deleted.
func kept(all map[string]it.Template) (list []string) {
	for _, t := range all {
		for id, r := range t.Section("Resources") {
			if policy, _ := it.Map(r)["DeletionPolicy"].(string); strings.HasPrefix(policy, "Retain") || policy == "Snapshot" {
				list = append(list, t.Name+"."+id)
			}
		}
	}
	slices.Sort(list)
	return list
}

// TestWhatStaysAfterADeletionIsNamed: everything else goes with the stack, so
// that nothing costs any more.
func TestWhatStaysAfterADeletionIsNamed(t *testing.T) {
	all := load(t)
	if d := cmp.Diff([]string{"data.Media", "data.Table"}, kept(all)); d != "" {
		t.Errorf("kept: %s", d)
	}
	b, err := os.ReadFile(filepath.Join(it.Root(), "docs", "deploy.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, output := range []string{"TableName", "MediaBucket"} {
		if all["template"].Section("Outputs")[output] == nil || !strings.Contains(string(b), "output `"+output+"`") {
			t.Errorf("%s is kept, and not named by an output and docs/deploy.md", output)
		}
	}
}

// fixedNames are names that are the same in every stack: two of them in one
// account cannot be.
func fixedNames(t it.Template) (list []string) {
	names := []string{
		"Name", "TableName", "BucketName", "QueueName", "TopicName", "FunctionName", "RoleName", "LogGroupName", "DashboardName", "AlarmName",
		"ClusterName", "Family", "LoadBalancerName", "GroupName", "AliasName",
	}
	for id, r := range t.Section("Resources") {
		properties := it.Map(it.Map(r)["Properties"])
		places := []map[string]any{properties}
		for name, v := range properties { // CloudFront's
			if strings.HasSuffix(name, "Config") {
				places = append(places, it.Map(v))
			}
		}
		for _, place := range places {
			for _, name := range names {
				value := place[name]
				sub, _ := it.Map(value)["Fn::Sub"].(string)
				if _, fixed := value.(string); fixed || sub != "" && !strings.Contains(sub, "${AWS::StackName}") {
					list = append(list, t.Name+"."+id+"."+name)
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

func TestTwoStacksOfOneAccountAreApart(t *testing.T) {
	for _, tmpl := range load(t) {
		for _, name := range fixedNames(tmpl) {
			t.Errorf("%s is the same in every stack", name)
		}
	}
	tmpl, err := it.Parse([]byte("Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: mine}}, C: {Type: T, Properties: {CachePolicyConfig: {Name: !Sub \"${AWS::Region}-x\"}}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fixedNames(tmpl); !slices.Equal(got, []string{".C.Name", ".Q.QueueName"}) {
		t.Errorf("found %v", got)
	}
}
