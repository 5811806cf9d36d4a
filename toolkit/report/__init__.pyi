from .export import write_figures as write_figures
from .export import write_tables as write_tables
from .html import keep_images as keep_images
from .html import rows_to_explain as rows_to_explain
from .html import write_report as write_report
from .search import write_search as write_search
