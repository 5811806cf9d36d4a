from .dataset import Dataset as Dataset
from .dataset import Manifest as Manifest
from .dataset import Split as Split
from .dataset import fingerprint as fingerprint
from .dataset import joined as joined
from .load import load as load
