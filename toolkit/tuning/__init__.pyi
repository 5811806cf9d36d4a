from .journal import read_best as read_best
from .search import Search as Search
from .search import tune as tune
from .settings import Budget as Budget
from .settings import Settings as Settings
from .together import account as account
from .together import tune_all as tune_all
from .trial import Trial as Trial
