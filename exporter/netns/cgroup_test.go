package netns

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCgroup(t *testing.T) {
	tests := []struct {
		file string
		want container // zero: no pod
	}{
		{"v2-systemd-containerd-burstable", container{pod: "ec964d3d-4496-4eba-9929-13bcbacbb07b", id: "7df1db1afefc8cb0e1936524a9ad401f808250218c791b1431b0650fc9daae13", runtime: "containerd"}},
		{"v2-systemd-containerd-guaranteed", container{pod: "32bce7a5-1afd-49b8-b1dd-9d5791b501d6", id: "785d0f57dc32af39350589f4d7ac84452463f2f15eade2fa29161cfaa0dee864", runtime: "containerd"}},
		{"v2-systemd-containerd-static-pod", container{pod: "3b703eafc01958649451cff5f28183ed", id: "f1a8feba18beb8daac6a27805dada8dc3ad79c8a4a7c987177422ee984adcacd", runtime: "containerd"}},
		{"v2-systemd-crio-crun", container{pod: "517d557c-3037-496b-a000-4383e5e65c71", id: "607755ad1562033f42f81567bce7059f7a15ae49d5668d156b4aba5d807385d5", runtime: "cri-o"}},
		{"v2-systemd-crio-conmon", container{}},
		{"v2-systemd-docker", container{pod: "e15e24b2-6a26-47b2-b0b1-3e06adb53e1a", id: "e844bdbc9345c1ad9bf882b6ae90ddfc3eee1d6a489b674746e0dfaf1002ae24", runtime: "docker"}},
		{"v2-systemd-delegated-init-scope", container{pod: "3b99cac3-75e4-4491-bfd7-41ba1b89f731", id: "e0c0f20f32b517992a820c0505fadc03ea59933731b3ceec16e7cd4084aa219d", runtime: "containerd"}},
		{"v2-cgroupfs-containerd", container{pod: "d739b016-bfac-4ff9-9940-29f53f0894f7", id: "e7b92c6763da05064fd0c881a30882f58382084e512138d84199ed3e0b4a6c61"}},
		{"v2-cgroupfs-crio", container{pod: "378d764f-a97a-49b4-bb7b-ee7ba10c32c6", id: "d62a9fb0247e3106479d5e411bb860cc8ea567a12ac01d89196f8266f7f5c9ed", runtime: "cri-o"}},
		{"v2-cgroupfs-containerd-without-systemd-cgroup", container{pod: "f487f528-e10d-4405-8096-1f9711c2225c", id: "323ca7a366f7f8071b39b1d6d91d778df2be848f77dc36d3a552e442c961ac4e", runtime: "containerd"}},
		{"v2-systemd-pod-without-container", container{pod: "db2d8e8f-be8a-4115-b02c-47559ef560e4"}},
		{"v2-kind-systemd", container{pod: "36a0a35f-6ba4-4fab-a056-970c2bda2893", id: "810119df181205b62441e0cea0ef8d603f54b7e045fca1c277db34a5fde36463", runtime: "containerd"}},
		{"v2-kind-seen-from-the-host", container{pod: "7f5eb949-75a5-4285-bc01-2d58c91eb17f", id: "b8835ce378812b6f320df1cd384c614a3c027d1f980e624d8a994c54aa6a2acd", runtime: "containerd"}},
		{"v2-kind-cgroupfs-static-pod", container{pod: "84de097cdcda47c97878155e90360aa2", id: "3a77966f1c9b0ba7dccad50ac9de5c80319bf61c91c2fcf7e770cd0444733992"}},
		{"v2-kind-podman", container{pod: "93db946e-5323-48d9-a027-ec57b57b1604", id: "3de3674c149b8b21589a065f77756627b1f20fd90c10ee934f1691255e3012cc", runtime: "containerd"}},
		{"v2-rootless-k3s", container{pod: "539febed-3e92-4d7f-98ff-738a5165a0ab", id: "982f13cc3771a759b2f6e897f2fae4fdef635290ce0de2b5c5e74fb996f5134e"}},
		{"v2-private-cgroupns-other-qos-systemd", container{pod: "d623f0e0-fb28-4411-8617-2dcd03401db7", id: "e986a70e0a3f05892eee90d22bab32f58dc8042486f6a1c3b2c5e6965abfb568", runtime: "containerd"}},
		{"v2-private-cgroupns-same-qos-systemd", container{pod: "5dfc8dee-5d02-41d0-84bd-dcde30b07fbf", id: "d6b3d5f41ca24c602e244743537ac881eaa7ed9a890636c8f005f359da12f57f", runtime: "containerd"}},
		{"v2-private-cgroupns-other-qos-cgroupfs", container{pod: "354d75b0-4b47-4246-a086-250adf61be1b", id: "0129728e47b048d08d64c4fc35adcb6f44bbdeb7b2ff00e8829909a4757dd85c"}},
		{"v2-private-cgroupns-same-qos-cgroupfs", container{pod: "5f37c57c-0927-4039-992b-a890dda434d3", id: "ca44ee7fe3a815157c1dc1c9b8a359f841746137d58646cfe66cba8ba9e56919"}},
		{"v2-private-cgroupns-static-pod", container{pod: "22cff263bff34906197db4f7df83f9c8", id: "6dec826a30a186a2ac7cf7788185c581f83634ccf81d0e5b0d4c3cff012f4045"}},
		{"v2-cluster-inside-a-pod", container{pod: "2bbe05ad-7629-40de-8b08-be87d8380a31", id: "1ca55472938ad251dab01b5e436246a6be37fc6892ccad58fc95680c210868c0"}},
		{"v2-docker-inside-a-pod", container{pod: "60e13f28-90d4-4238-843e-6d97028d27fd", id: "1a2e4039735cfa894bb355da5317a9878459ddfcaebf44743b287b03cb938924", runtime: "containerd"}},
		{"hybrid-cgroupfs-k3s", container{pod: "80fbb5fe-6a7e-4f4e-aa16-df953fa8030b", id: "07de5bf0c4e243ea6d6f61ff7595b8c5cabad92b40908addbe4cb18d6ef51d67"}},
		{"hybrid-systemd-containerd", container{pod: "5bede098-e600-45bb-94b4-bc0ac1fadc9d", id: "1d624d301cd6fd2b379aa4282e2d39012e781633547a528c01cc62ad1b309881", runtime: "containerd"}},
		{"hybrid-containerd-without-systemd-cgroup", container{pod: "f078f009-104b-429f-b828-460b357666a2", id: "7ced5c0fca3e44ffd1d237196a010d6a55617eb7d86eab000294c5857e2dd33d", runtime: "containerd"}},
		{"hybrid-only-unified-names-the-pod", container{pod: "d0e15090-aa47-4ef5-9ae3-82c943a24a24", id: "3698a88b3df39a3211e1d0e74b7760f777f1f2983ee6a5180648530e997cf002"}},
		{"v1-systemd-docker", container{pod: "06e4b381-4bdc-4bdb-93f2-db5e0f1b7376", id: "565cd459f6270cfbead4d9373d5431289348ea10039e5e825484ac40819bc617", runtime: "docker"}},
		{"v1-systemd-crio-guaranteed", container{pod: "baf3886f-87f7-4945-862e-6ef60c404627", id: "70a7bc31f89f8848ed8499621716870a6748f8ab2db3c7086c971a0d69486508", runtime: "cri-o"}},
		{"v1-cgroupfs-guaranteed", container{pod: "859c831e-a087-45be-99b4-d4477890072a", id: "9a26febcd5f7430d45862c9a0b2147d484f20a668e07d39d41838d5e2c3ae0ab"}},
		{"v1-cgroupfs-minikube-in-docker", container{pod: "dda21661-4f00-476a-90df-8da131a6bd80", id: "eebc1c5ab952c1d01f0c5390027111703b33e0c6f71a94480f25e584f111570a"}},
		{"v1-systemd-docker-dashes", container{pod: "bf5ba3c4-316a-4876-8e8f-55310fcd77fc", id: "235b98e437e0c39bb88d291107eba47e4bc4b3c86362905a919bd2a33b2f649e", runtime: "docker"}},
		{"v2-deleted-cgroup", container{pod: "2e372af6-8c38-40b2-b340-e8b21ee92b10", id: "bf5513ab14d7b35505d5007d8fa66e56291a8a8fca710709f332363c57f1b206", runtime: "containerd"}},
		{"no-pod-v2-system-service", container{}},
		{"no-pod-v2-kernel-thread", container{}},
		{"no-pod-v2-user-session", container{}},
		{"no-pod-v2-docker", container{}},
		{"no-pod-v2-docker-cgroupfs", container{}},
		{"no-pod-v2-podman-pod", container{}},
		{"no-pod-v2-qos-class", container{}},
		{"no-pod-v1-user-session", container{}},
		{"no-pod-v1-docker", container{}},
		{"no-pod-v1-ecs", container{}},
	}
	tested := map[string]bool{"README.md": true}
	for _, tt := range tests {
		tested[tt.file+".txt"] = true
		t.Run(tt.file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata/cgroup", tt.file+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			got, ok := parseCgroup(string(text))
			if ok != (tt.want != container{}) {
				t.Errorf("parseCgroup() found a pod: %v", ok)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(container{})); diff != "" {
				t.Errorf("parseCgroup() differs (-want +got):\n%s", diff)
			}
		})
	}
	files, err := os.ReadDir("testdata/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !tested[f.Name()] {
			t.Errorf("%s is in no case", f.Name())
		}
	}
}

func TestParseCgroupTakesNothingElseForAPod(t *testing.T) {
	const uid, id = "539febed-3e92-4d7f-98ff-738a5165a0ab", "982f13cc3771a759b2f6e897f2fae4fdef635290ce0de2b5c5e74fb996f5134e"
	tests := []struct{ name, text string }{
		{"an empty file", ""},
		{"a line without a path", "0:" + uid + "\n"},
		{"a word that begins with pod", "0::/kubepods/podman-" + uid + "/" + id + "\n"},
		{"a UID that is too short", "0::/kubepods/besteffort/pod" + uid[:35] + "/" + id + "\n"},
		{"a UID that is too long", "0::/kubepods/besteffort/pod" + uid + "0/" + id + "\n"},
		{"a UID with other letters", "0::/kubepods/besteffort/pod" + strings.Replace(uid, "f", "g", 1) + "/" + id + "\n"},
		{"a UID with its dashes elsewhere", "0::/kubepods/besteffort/pod539febed3-e92-4d7f-98ff-738a5165a0ab/" + id + "\n"},
		{"a slice that the kubelet did not make", "0::/web-pod" + uid + ".slice/docker-" + id + ".scope\n"},
		{"a slice below one that only ends alike", "0::/kubepods-other-pod" + uid + ".slice/docker-" + id + ".scope\n"},
		{"no slice", "0::/kubepods-besteffort-pod" + uid + "/docker-" + id + ".scope\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if c, ok := parseCgroup(tt.text); ok {
				t.Errorf("parseCgroup(%q) = %+v; want none", tt.text, c)
			}
		})
	}
}

// FuzzParseCgroup makes sure that only what is well formed, and is in the
// text, becomes the UID of a pod: processes name their own cgroups.
func FuzzParseCgroup(f *testing.F) {
	files, err := filepath.Glob("testdata/cgroup/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := parseCgroup(text)
		switch {
		case !ok && c != container{}:
			t.Errorf("%+v of no pod", c)
		case ok && (!isUID(c.pod) || !strings.Contains(strings.ReplaceAll(text, "_", "-"), "pod"+c.pod)):
			t.Errorf("%q is no UID of the text", c.pod)
		case c.id != "" && (len(c.id) < 32 || !isHex(c.id) || !strings.Contains(text, c.id)):
			t.Errorf("%q is no ID of the text", c.id)
		}
	})
}
