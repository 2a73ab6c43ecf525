"""What the tests on real mounts share: places to mount on, the recorder, ordinary users, traces read on their own."""
