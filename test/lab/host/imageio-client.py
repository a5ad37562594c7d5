# The official imageio client, as any backup program uses it: one download or upload.
# Arguments: download|incremental|upload, the ticket's URL, the CA's file, the local qcow2 file, and for an incremental the backing file.
import sys

from ovirt_imageio import client

what, url, ca, path = sys.argv[1:5]
if what == "upload":
    client.upload(path, url, ca)
elif what == "incremental":
    client.download(url, path, ca, incremental=True, backing_file=sys.argv[5], backing_format="qcow2")
else:
    client.download(url, path, ca)
